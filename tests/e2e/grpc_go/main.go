// SPDX-License-Identifier: Apache-2.0

// grpc-go as a peer: "server CERTIFICATE KEY PORT FILE" and "client HOST:PORT CA". Messages are
// bytes without a schema. The server writes into FILE what becomes of calls that are cancelled.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// raw carries a *[]byte as it is.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) { return *(v.(*[]byte)), nil }
func (raw) Unmarshal(data []byte, v any) error {
	*(v.(*[]byte)) = append([]byte(nil), data...)
	return nil
}
func (raw) Name() string { return "raw" }

func fail(format string, words ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", words...)
	os.Exit(1)
}

func note(path, line string) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		fail("%v", err)
	}
	defer file.Close()
	fmt.Fprintln(file, line)
}

// serve answers every method: /test/Echo and its kinds, /test/Fail, /test/Wait.
func serve(path string) grpc.StreamHandler {
	return func(_ any, stream grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(stream)
		incoming, _ := metadata.FromIncomingContext(stream.Context())
		stream.SetTrailer(metadata.Pairs("x-key", fmt.Sprint(incoming.Get("dd-api-key")), "x-bin-bin", "\x00\xff"))
		switch method {
		case "/test/Fail":
			return status.Error(codes.FailedPrecondition, "as asked: ä%")
		case "/test/Wait":
			_ = stream.SendHeader(metadata.Pairs("x-waits", "yes"))
			<-stream.Context().Done()
			note(path, "cancelled")
			return stream.Context().Err()
		}
		for {
			var message []byte
			if err := stream.RecvMsg(&message); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
			if method == "/test/Many" {
				for i := 0; i < 100; i++ {
					if err := stream.SendMsg(&message); err != nil {
						return err
					}
				}
				continue
			}
			if err := stream.SendMsg(&message); err != nil {
				return err
			}
		}
	}
}

func server(certificate, key, port, path string) {
	pair, err := credentials.NewServerTLSFromFile(certificate, key)
	if err != nil {
		fail("%v", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		fail("%v", err)
	}
	fmt.Println("listening")
	options := []grpc.ServerOption{grpc.Creds(pair), grpc.ForceServerCodec(raw{}), grpc.UnknownServiceHandler(serve(path))}
	fail("%v", grpc.NewServer(options...).Serve(listener))
}

func open(ctx context.Context, connection *grpc.ClientConn, method string) grpc.ClientStream {
	description := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	stream, err := connection.NewStream(ctx, description, method)
	if err != nil {
		fail("%s: %v", method, err)
	}
	return stream
}

func check(good bool, what string) {
	if !good {
		fail("wrong: %s", what)
	}
	fmt.Println("ok", what)
}

func unary(connection *grpc.ClientConn) {
	var answer []byte
	var trailer metadata.MD
	message := bytes.Repeat([]byte("x"), 100000)
	err := connection.Invoke(context.Background(), "/test/Echo", &message, &answer, grpc.Trailer(&trailer))
	check(err == nil && bytes.Equal(answer, message), fmt.Sprintf("unary %v", err))
	fmt.Println("key", trailer.Get("x-key"))
	check(len(trailer.Get("x-bin-bin")) == 1 && trailer.Get("x-bin-bin")[0] == "\x00\xff", "binary trailer")
	err = connection.Invoke(context.Background(), "/test/Fail", &message, &answer)
	check(status.Code(err) == codes.FailedPrecondition && status.Convert(err).Message() == "as asked: ä%", "status")
}

func streams(connection *grpc.ClientConn) {
	stream := open(context.Background(), connection, "/test/Echo")
	for i := 0; i < 200; i++ {
		message := bytes.Repeat([]byte{byte(i)}, 1+i*37)
		var answer []byte
		if err := stream.SendMsg(&message); err != nil {
			fail("send: %v", err)
		}
		if err := stream.RecvMsg(&answer); err != nil || !bytes.Equal(answer, message) {
			fail("message %d: %v", i, err)
		}
	}
	_ = stream.CloseSend()
	var rest []byte
	check(stream.RecvMsg(&rest) == io.EOF, "bidirectional")
	many := open(context.Background(), connection, "/test/Many")
	message := bytes.Repeat([]byte("y"), 30000)
	_ = many.SendMsg(&message)
	_ = many.CloseSend()
	count := 0
	for many.RecvMsg(&rest) == nil {
		count++
	}
	check(count == 100, "server-streaming")
}

func endings(connection *grpc.ClientConn) {
	var answer []byte
	message := []byte("z")
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	err := connection.Invoke(ctx, "/test/Wait", &message, &answer)
	cancel()
	check(status.Code(err) == codes.DeadlineExceeded, fmt.Sprintf("deadline: %v", err))
	ctx, cancel = context.WithCancel(context.Background())
	stream := open(ctx, connection, "/test/Wait")
	if _, err := stream.Header(); err != nil {
		fail("header: %v", err)
	}
	cancel()
	check(status.Code(stream.RecvMsg(&answer)) == codes.Canceled, "cancel")
}

func client(target, authority string) {
	pem, err := os.ReadFile(authority)
	if err != nil {
		fail("%v", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	secure := credentials.NewTLS(&tls.Config{RootCAs: roots})
	connection, err := grpc.Dial(target, grpc.WithTransportCredentials(secure), grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	if err != nil {
		fail("%v", err)
	}
	unary(connection)
	streams(connection)
	endings(connection)
}

func main() {
	switch {
	case len(os.Args) == 6 && os.Args[1] == "server":
		server(os.Args[2], os.Args[3], os.Args[4], os.Args[5])
	case len(os.Args) == 4 && os.Args[1] == "client":
		client(os.Args[2], os.Args[3])
	default:
		fail("usage: server CERTIFICATE KEY PORT FILE | client HOST:PORT CA")
	}
}
