# SPDX-License-Identifier: Apache-2.0
"""grpcio as a peer: "server CERTIFICATE KEY PORT FILE" and "client HOST:PORT". Messages are bytes
without a schema. The server writes into FILE what becomes of calls that are cancelled.
"""
import sys
import threading
from concurrent import futures

import grpc


class Service(grpc.GenericRpcHandler):
    def __init__(self, path):
        self.path = path

    def service(self, details):
        return grpc.stream_stream_rpc_method_handler(
            lambda messages, context: self.answer(details, messages, context))

    def note(self, line):
        with open(self.path, "a", encoding="ascii") as file:
            file.write(line + "\n")

    def answer(self, details, messages, context):
        fields = dict(details.invocation_metadata)
        context.set_trailing_metadata((("x-key", fields.get("dd-api-key", "")),
                                       ("x-bin-bin", b"\x00\xff")))
        if details.method == "/test/Fail":
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "as asked: ä%")
        if details.method == "/test/Wait":
            ended = threading.Event()
            context.add_callback(ended.set)
            context.send_initial_metadata((("x-waits", "yes"),))
            ended.wait(60)
            self.note("cancelled")
            return
        for message in messages:
            for _ in range(100 if details.method == "/test/Many" else 1):
                yield message


def server(certificate, key, port, path):
    with open(certificate, "rb") as chain, open(key, "rb") as secret:
        credentials = grpc.ssl_server_credentials([(secret.read(), chain.read())])
    served = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    served.add_generic_rpc_handlers((Service(path),))
    assert served.add_secure_port(f"127.0.0.1:{port}", credentials)
    served.start()
    print("listening", flush=True)
    served.wait_for_termination()


def check(good, what):
    if not good:
        sys.exit(f"wrong: {what}")
    print("ok", what)


def client(target):
    channel = grpc.secure_channel(target, grpc.ssl_channel_credentials())
    message = b"x" * 100000
    answer, call = channel.unary_unary("/test/Echo").with_call(message)
    check(answer == message, "unary")
    trailers = dict(call.trailing_metadata())
    print("key", trailers["x-key"])
    check(trailers["x-bin-bin"] == b"\x00\xff", "binary trailer")
    try:
        channel.unary_unary("/test/Fail")(message)
    except grpc.RpcError as error:
        check(error.code() == grpc.StatusCode.FAILED_PRECONDITION, "status")
        check(error.details() == "as asked: ä%", "details")
    pieces = [bytes([i]) * (1 + i * 37) for i in range(200)]
    check(list(channel.stream_stream("/test/Echo")(iter(pieces))) == pieces, "bidirectional")
    many = list(channel.unary_stream("/test/Many")(b"y" * 30000))
    check(many == [b"y" * 30000] * 100, "server-streaming")
    check(channel.stream_unary("/test/Echo")(iter([b"one"])) == b"one", "client-streaming")
    try:
        channel.unary_unary("/test/Wait")(b"", timeout=0.5)
    except grpc.RpcError as error:
        check(error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, "deadline")
    call = channel.unary_stream("/test/Wait")(b"")
    check(("x-waits", "yes") in [tuple(pair) for pair in call.initial_metadata()], "metadata at once")
    call.cancel()
    check(call.code() == grpc.StatusCode.CANCELLED, "cancel")


if __name__ == "__main__":
    if len(sys.argv) == 6 and sys.argv[1] == "server":
        server(*sys.argv[2:])
    elif len(sys.argv) == 3 and sys.argv[1] == "client":
        client(sys.argv[2])
    else:
        sys.exit("usage: server CERTIFICATE KEY PORT FILE | client HOST:PORT")
