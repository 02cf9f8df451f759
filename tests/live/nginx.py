"""nginx in front of registries."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .servers import Server
from .servers import free_port
from .tools import need
from .tools import wait_until
from .wire import ask


CONFIGURATION = """
user root;
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_max_body_size 0;
  chunked_transfer_encoding on;
  upstream registries {{
    {upstreams}
    keepalive 8;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://registries;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-Proto {scheme};
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_request_buffering {buffering};
      proxy_next_upstream off;
    }}
  }}
}}
"""


class Nginx:
    """Starts nginx, and ends it by its own id.

    :param folder: for its files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[bytes]] = []

    def start(
        self, *behind: Server, scheme: str = "$scheme", buffering: str = "off"
    ) -> str:
        """Start it in front of servers, in turn; return its ``host:port``."""
        port = free_port()
        folder = self.folder / f"nginx-{port}"
        folder.mkdir()
        file = folder / "nginx.conf"
        file.write_text(
            CONFIGURATION.format(
                folder=folder,
                upstreams=" ".join(f"server {server.host};" for server in behind),
                port=port,
                scheme=scheme,
                buffering=buffering,
            )
        )
        return self.run(file, port)

    def run(self, file: Path, port: int) -> str:
        """Start it with a configuration; return its ``host:port`` when it answers."""
        log = file.parent / "error.log"
        command = [
            need("nginx"),
            "-e",
            str(log),
            "-p",
            str(file.parent),
            "-c",
            str(file),
        ]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        self.started.append(process)
        host = f"127.0.0.1:{port}"

        def answers() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                return ask(host, "GET", "/").status > 0
            except OSError:
                return False

        wait_until(answers, 10, "nginx to answer")
        return host

    def close(self) -> None:
        """End what was started."""
        for process in self.started:
            process.terminate()
            process.wait(10)
