// SPDX-License-Identifier: Apache-2.0

// One handshake by Go's own checks. Arguments: CA file, host, port.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

func main() {
	pem, err := os.ReadFile(os.Args[1])
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		fmt.Fprintln(os.Stderr, "no CA in", os.Args[1], err)
		os.Exit(2)
	}
	conn, err := tls.Dial("tcp", "127.0.0.1:"+os.Args[3],
		&tls.Config{RootCAs: roots, ServerName: os.Args[2]})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%x\n", conn.ConnectionState().Version)
	conn.Close()
}
