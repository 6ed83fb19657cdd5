#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`exeat connect` through the real relay: a gateway made of sockets sees what comes of it.

usage: test_connect.py EXEAT
"""
import os
import socket
import subprocess
import sys
import unittest

import test_forward
import test_tunnel
from test_tunnel import OK

REFUSAL = (b"HTTP/1.1 403 tcp to git.test:22 is denied by rule none\r\nContent-Length: 0\r\n"
           b"Exeat-Reason: policy_denied\r\n\r\n")


class Connect(test_forward.Rig):
    def connect(self, *words, stdin=b"", env=None, proxy=True):
        environment = {"PATH": os.environ["PATH"], **(env or {})}
        if proxy:
            environment["HTTPS_PROXY"] = f"http://127.0.0.1:{self.port}"
        return subprocess.run([test_tunnel.EXEAT, "connect", *words], input=stdin,
                              capture_output=True, env=environment, timeout=test_forward.SECONDS,
                              check=False)

    def test_bytes_go_both_ways_and_the_end_of_the_input_is_no_end_of_the_output(self):
        data = os.urandom(300000)

        def script(tunnel):
            tunnel.send(OK + b"SSH-2.0-banner\r\n")
            got = tunnel.exactly(len(data))
            tunnel.send(got[::-1])
            tunnel.close()

        self.serve(script)
        done = self.connect("git.test", "22", stdin=data)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertEqual(done.stdout, b"SSH-2.0-banner\r\n" + data[::-1])
        self.assertEqual(self.lines(), [b"CONNECT git.test:22 HTTP/1.1"])

    def test_refusal_is_one_line_with_its_words_and_its_reason(self):
        def script(tunnel):
            tunnel.send(REFUSAL)
            tunnel.close()

        self.serve(script)
        done = self.connect("git.test", "22", stdin=b"never sent")
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertEqual(done.stderr, b"exeat: error: connect git.test:22: refused with 403 tcp to "
                                      b"git.test:22 is denied by rule none (policy_denied)\n")

    def test_tunnel_that_breaks_is_a_failure(self):
        def script(tunnel):
            tunnel.send(OK + b"half")

        self.serve(script)
        done = self.connect("git.test", "22")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout, b"half"[:len(done.stdout)])
        self.assertIn(b"connect git.test:22: receive: Connection reset", done.stderr)

    def test_input_may_be_a_file_or_nothing_at_all(self):
        def script(tunnel):
            tunnel.send(OK + b"hello")
            tunnel.close()

        self.serve(script)
        for stdin in (os.devnull, __file__):
            with open(stdin, "rb") as file:
                done = subprocess.run(
                    [test_tunnel.EXEAT, "connect", "--proxy", f"http://127.0.0.1:{self.port}/",
                     "::1", "22"], stdin=file, capture_output=True, env={}, check=False,
                    timeout=test_forward.SECONDS)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"hello", b""))
        self.assertEqual(self.lines(), [b"CONNECT [::1]:22 HTTP/1.1"] * 2)

    def test_what_is_wrong_is_told(self):
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        for words, env, status, told in (
                (("a.test", "22"), {}, 1, b"HTTPS_PROXY is not set"),
                (("a.test", "22"), {"https_proxy": "socks5://a"}, 1, b"HTTPS_PROXY: only http://"),
                (("--proxy", "http://", "a.test", "22"), {}, 1, b"--proxy: host and port"),
                (("a.test", "22"), {"https_proxy": f"http://127.0.0.1:{port}"}, 1, b"refused"),
                (("a_test/", "22"), {"https_proxy": "http://127.0.0.1:1"}, 1, b"a_test/ 22: "),
                (("a.test", "022"), {"https_proxy": "http://127.0.0.1:1"}, 1, b"a.test 022: "),
                (("a.test",), {}, 2, b"expected HOST PORT"),
                (("a.test", "22", "x"), {}, 2, b"expected HOST PORT"),
                (("--port", "1", "a.test", "22"), {}, 2, b"unknown option --port")):
            done = self.connect(*words, env=env, proxy=False)
            self.assertEqual((done.returncode, done.stdout), (status, b""), words)
            self.assertIn(told, done.stderr)
            self.assertEqual(done.stderr.count(b"\n"), 1, done.stderr)

    def test_proxy_that_answers_nonsense_or_nothing(self):
        for answer, told in ((b"", b"closed without an answer"), (b"SSH-2.0-x\r\n", b"byte 0x53"),
                             (b"HTTP/1.0 200 OK\r\nX: y\r\n\r\nout", b"")):
            with socket.create_server(("127.0.0.1", 0)) as server:
                child = subprocess.Popen(
                    [test_tunnel.EXEAT, "connect", "a.test", "22"], stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                    env={"https_proxy": "http://us%65r:pass@127.0.0.1:"
                                        + str(server.getsockname()[1])})
                sock = server.accept()[0]
                with sock:
                    head = test_tunnel.read_head(sock)
                    sock.sendall(answer)
                out, err = child.communicate(timeout=test_forward.SECONDS)
            self.assertEqual(head, b"CONNECT a.test:22 HTTP/1.1\r\nHost: a.test:22\r\n"
                                   b"Proxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n")
            self.assertIn(told, err)
            self.assertEqual((child.returncode, out), (0, b"out") if not told else (1, b""))


if __name__ == "__main__":
    test_tunnel.EXEAT = sys.argv.pop(1)
    unittest.main()
