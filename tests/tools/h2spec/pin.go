// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package pin names h2spec, so that go.mod and go.sum say which versions of it and of what it needs
// are built: those that the Go of Debian 12 can build.
package pin

import _ "github.com/summerwind/h2spec/cmd/h2spec"
