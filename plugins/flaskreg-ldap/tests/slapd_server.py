"""A real slapd on loopback, with users, groups, and a certificate of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

import ldap
import pytest


SUFFIX = "dc=example,dc=org"
SECRET = "bind canary 5f2c"

CONFIG = """\
include {schema}/core.schema
include {schema}/cosine.schema
include {schema}/inetorgperson.schema
include {schema}/nis.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
TLSCACertificateFile {folder}/ca.pem
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
database mdb
suffix "{suffix}"
rootdn "cn=admin,{suffix}"
rootpw {secret}
directory {folder}/data
access to attrs=userPassword by anonymous auth by * none
access to * by dn="cn=reader,{suffix}" read by * none
"""

ENTRIES = """\
dn: dc=example,dc=org
objectClass: domain
dc: example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example,dc=org
objectClass: organizationalUnit
ou: groups

dn: cn=reader,dc=example,dc=org
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: bind canary 5f2c

dn: uid=alice,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: alice
cn: Alice
sn: A
userPassword: alice's password

dn: uid=b(o*b\\29,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: b(o*b)
cn: Bob
sn: B
userPassword: bob's password

dn: cn=team,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: team
member: uid=alice,ou=people,dc=example,dc=org

dn: cn=posix,ou=groups,dc=example,dc=org
objectClass: posixGroup
cn: posix
gidNumber: 1
memberUid: alice

dn: cn=others,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: others
member: uid=b(o*b\\29,ou=people,dc=example,dc=org
"""


def need(name):
    """Return the path of a program; a missing one fails, with what to install."""
    found = shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/bin")
    if found is None:
        pytest.fail(f"{name} is missing: apt-get install slapd openssl", pytrace=False)
    return found


def run(*command):
    """Run a command to its end."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def make_certificates(folder):
    """Make a CA, and a certificate of 127.0.0.1 that it signed."""
    openssl = need("openssl")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    run(openssl, "req", "-x509", *key, "-keyout", f"{folder}/ca.key", "-days", "2",
        "-out", f"{folder}/ca.pem", "-subj", "/CN=test CA")  # fmt: skip
    run(openssl, "req", *key, "-keyout", f"{folder}/server.key",
        "-out", f"{folder}/server.csr", "-subj", "/CN=localhost")  # fmt: skip
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1\n")
    run(openssl, "x509", "-req", "-in", f"{folder}/server.csr", "-days", "2",
        "-CA", f"{folder}/ca.pem", "-CAkey", f"{folder}/ca.key", "-CAcreateserial",
        "-extfile", f"{folder}/san", "-out", f"{folder}/server.pem")  # fmt: skip


def free_port():
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Slapd:
    """A directory server that a test can stop, and start again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.tls_port = free_port(), free_port()
        self.uri = f"ldap://127.0.0.1:{self.port}"
        self.tls_uri = f"ldaps://127.0.0.1:{self.tls_port}"
        self.cacert = str(folder / "ca.pem")
        (folder / "data").mkdir()
        make_certificates(folder)
        config = CONFIG.format(
            schema="/etc/ldap/schema", folder=folder, suffix=SUFFIX, secret="admin"
        )
        (folder / "slapd.conf").write_text(config)
        (folder / "entries.ldif").write_text(ENTRIES)
        slapd = need("slapd")
        conf = str(folder / "slapd.conf")
        run(slapd, "-Tadd", "-f", conf, "-l", str(folder / "entries.ldif"))
        self._process = subprocess.Popen(
            [slapd, "-d", "0", "-f", conf, "-h", f"{self.uri}/ {self.tls_uri}/"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.wait()

    def wait(self):
        """Wait for the first answer."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            assert self._process.poll() is None, "slapd has ended"
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1):
                    return
            except OSError:
                time.sleep(0.05)
        pytest.fail("slapd does not answer")

    def change(self, dn, *changes):
        """Change an entry, as the administrator."""
        connection = ldap.initialize(self.uri)
        try:
            connection.simple_bind_s(f"cn=admin,{SUFFIX}", "admin")
            connection.modify_s(dn, list(changes))
        finally:
            connection.unbind_s()

    def close(self):
        """End it."""
        self._process.terminate()
        self._process.wait(20)
