# SPDX-License-Identifier: Apache-2.0
"""nginx as the origin: TLS with the private CA, files, and git's http-backend behind FastCGI."""
import os
import pathlib
import socket
import subprocess

from gateway import free_port
from program import Program, clean_environment, wait_until

CONFIG = """\
daemon off;
pid {directory}/nginx.pid;
error_log stderr notice;
worker_processes 1;
{user}
events {{ worker_connections 1024; }}
http {{
    access_log {directory}/access.log;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    client_max_body_size 256m;
    server {{
        listen 127.0.0.1:{port} ssl{http2};
        server_name nginx.test;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        root {directory}/files;
        default_type text/plain;
        location = / {{ return 200 "hello from nginx\\n"; }}
        location = /echo-headers {{
            return 200 "host=$http_host\\nua=$http_user_agent\\nkey=$http_dd_api_key\\nvia=$http_via\\nprotocol=$server_protocol\\n";
        }}
        location ~ ^/git(/.*) {{
            fastcgi_pass unix:{directory}/git.sock;
            fastcgi_request_buffering on;
            fastcgi_read_timeout 60s;
            include /etc/nginx/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME /usr/lib/git-core/git-http-backend;
            fastcgi_param GIT_PROJECT_ROOT {directory}/repositories;
            fastcgi_param GIT_HTTP_EXPORT_ALL "";
            fastcgi_param PATH_INFO $1;
        }}
    }}
}}
"""


def git(*words, cwd, environment):
    subprocess.run(["git", *words], cwd=cwd, env=environment, check=True, capture_output=True)


class Nginx:
    def __init__(self, directory, certificate, key, *, http2=False):
        self.directory = pathlib.Path(directory)
        self.port = free_port()
        for name in ("files", "repositories"):
            (self.directory / name).mkdir(parents=True)
        self.environment = clean_environment(
            self.directory, GIT_AUTHOR_NAME="t", GIT_AUTHOR_EMAIL="t@test",
            GIT_COMMITTER_NAME="t", GIT_COMMITTER_EMAIL="t@test")
        config = self.directory / "nginx.conf"
        config.write_text(CONFIG.format(directory=self.directory, port=self.port,
                                        certificate=certificate, key=key,
                                        http2=" http2" if http2 else "",
                                        user="user root;" if os.getuid() == 0 else ""))
        self.fcgi = Program("fcgiwrap", ["fcgiwrap", "-s", f"unix:{self.directory}/git.sock"],
                            env=self.environment, directory=self.directory)
        self.nginx = Program("nginx", ["nginx", "-p", self.directory, "-c", config],
                             env=self.environment, directory=self.directory)
        wait_until(self._listens, "nginx to listen")
        wait_until((self.directory / "git.sock").exists, "fcgiwrap to listen")

    def _listens(self):
        assert self.nginx.child.poll() is None, self.nginx.errors()
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def repository(self, name):
        """A bare repository that may be pushed to, with one commit of one file."""
        bare = self.directory / "repositories" / name
        work = self.directory / "work" / name
        work.mkdir(parents=True)
        git("init", "-q", "-b", "main", ".", cwd=work, environment=self.environment)
        (work / "README").write_text("one\n")
        git("add", ".", cwd=work, environment=self.environment)
        git("commit", "-q", "-m", "one", cwd=work, environment=self.environment)
        git("clone", "-q", "--bare", str(work), str(bare), cwd=work, environment=self.environment)
        git("config", "http.receivepack", "true", cwd=bare, environment=self.environment)
        return bare

    def stop(self):
        self.nginx.stop()
        self.fcgi.stop()
