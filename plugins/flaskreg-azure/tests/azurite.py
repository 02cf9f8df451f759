"""Azurite, Microsoft's own server of the protocol, as a process."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

from azure.core.exceptions import AzureError
from azure.storage.blob import BlobServiceClient

from flaskreg.testing.live import free_port


#: the account that every Azurite has, and everybody knows.
ACCOUNT = "devstoreaccount1"
KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/"
    "K1SZFPTOtr/KBHBeksoGMGw=="
)


class Azurite:
    """One server; its content is in memory."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/{ACCOUNT}"
        binary = os.environ.get("FLASKREG_AZURITE") or shutil.which("azurite-blob")
        assert binary, "azurite-blob is not installed (npm install -g azurite)"
        command = [binary, "--blobHost", "127.0.0.1", "--blobPort", str(self.port)]
        command += ["--inMemoryPersistence", "--silent"]
        command += ["--skipApiVersionCheck", "--disableTelemetry"]
        with (folder / "azurite.log").open("wb") as out:
            self.process = subprocess.Popen(
                command, cwd=folder, stdout=out, stderr=out, stdin=subprocess.DEVNULL
            )
        self.client = BlobServiceClient(
            self.url,
            credential={"account_name": ACCOUNT, "account_key": KEY},
            retry_total=0,
        )
        self._wait()

    def _wait(self):
        deadline = time.monotonic() + 60
        while True:
            assert self.process.poll() is None, "azurite ended"
            try:
                self.client.get_account_information()
            except AzureError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            else:
                return

    def stop(self):
        """End it."""
        self.client.close()
        self.process.terminate()
        self.process.wait(20)

    def parameters(self, container):
        """Return the section of a container that is there."""
        names = [each.name for each in self.client.list_containers()]
        if container not in names:
            self.client.create_container(container)
        return {
            "accountname": ACCOUNT,
            "accountkey": KEY,
            "container": container,
            "serviceurl": self.url,
        }
