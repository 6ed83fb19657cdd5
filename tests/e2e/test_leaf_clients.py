# SPDX-License-Identifier: Apache-2.0
"""Threat H6: one leaf that every client accepts, each by its own implementation of RFC 5280 and in
its strictest mode; and that none accepts for another host or from another CA."""
import datetime
import ipaddress
import os
import pathlib
import subprocess
import time
import typing

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from authority import Authority
from conftest import Journey
from forwarder import Forwarder
from origin import Origin
from program import clean_environment, run
from tunnel import RelayChannel, TlsClient

HERE = pathlib.Path(__file__).parent / "leaf_clients"
NAME = "leaf.test"
LONG = "a" * 60 + "." + "b" * 20 + ".test"  # in no CN: it is the SAN's alone
NAMES = [NAME, LONG, "127.0.0.1", "::1"]
LABELS = ["name", "long name", "IPv4", "IPv6"]
ELSEWHERE = "192.0.2.1"  # an address, so that no client names it in its ClientHello
MANY = [f"n{i}.leaf.test" for i in range(40)]
SERIAL_BITS = 128


def is_address(host):
    return ":" in host or host.replace(".", "").isdigit()


def bracketed(host):
    return f"[{host}]" if ":" in host else host


# ---- the clients: what each is told ----

class Tools:
    """Programs that must be compiled and stores that must be filled, once each."""

    def __init__(self, directory):
        self.directory = directory
        directory.mkdir()
        self.environment = clean_environment(directory)
        self.made = {}

    def command(self, *words):
        run(words, env=self.environment, cwd=self.directory, check=0)

    def once(self, name, make):
        path = self.directory / name
        if path not in self.made:
            self.made[path] = make(path)
        return path

    def go_program(self):
        """With the user's cache, where the standard library is compiled already."""
        return self.once("client-go", lambda path: subprocess.run(
            ["go", "build", "-o", path, HERE / "client.go"], cwd=self.directory, check=True,
            env={**os.environ, "GO111MODULE": "off"}, timeout=300))

    def java_classes(self):
        return self.once("classes", lambda path: self.command(
            "javac", "-d", path, HERE / "Client.java"))

    def java_store(self, ca):
        return self.once(f"{ca.parent.name}.p12", lambda path: self.command(
            "keytool", "-importcert", "-noprompt", "-alias", "exeat", "-storepass", "changeit",
            "-keystore", path, "-file", ca))

    def nss_store(self, ca):
        def make(path):
            path.mkdir()
            store = ["certutil", "-d", f"sql:{path}"]
            self.command(*store, "-N", "--empty-password")
            self.command(*store, "-A", "-t", "C,,", "-n", "exeat", "-i", ca)
            return path

        return self.once(f"{ca.parent.name}.nss", make)


class Visit(typing.NamedTuple):
    """A client is to handshake with 127.0.0.1:port as if that were `host`."""
    tools: Tools
    ca: pathlib.Path
    host: str
    port: int
    url: str


def openssl(*more):
    def words(visit):
        host = visit.host
        name = (["-verify_ip", host, "-noservername"] if is_address(host) else
                ["-verify_hostname", host, "-servername", host])
        return ["openssl", "s_client", "-connect", f"127.0.0.1:{visit.port}", "-CAfile", visit.ca,
                "-x509_strict", "-verify_return_error", *name, *more]

    return words


def python(visit):
    return ["/usr/bin/python3", HERE / "client.py", visit.ca, visit.host, visit.port]


def go(visit):
    return [visit.tools.go_program(), visit.ca, visit.host, visit.port]


def java(visit):
    return ["java", "-XX:TieredStopAtLevel=1", "-cp", visit.tools.java_classes(),
            f"-Djavax.net.ssl.trustStore={visit.tools.java_store(visit.ca)}",
            "-Djavax.net.ssl.trustStorePassword=changeit", "Client", visit.host, visit.port]


def gnutls(visit):
    name = ["--disable-sni"] if is_address(visit.host) else [f"--sni-hostname={visit.host}"]
    return ["gnutls-cli", "127.0.0.1", "--port", visit.port, "--x509cafile", visit.ca,
            f"--verify-hostname={visit.host}", "--no-ocsp", *name]


def nss(visit):
    return ["tstclnt", "-h", "127.0.0.1", "-p", visit.port, "-a", visit.host, "-Q",
            "-V", "tls1.2:", "-d", f"sql:{visit.tools.nss_store(visit.ca)}"]


def curl(visit):
    return ["curl", "-sS", "--fail", "--cacert", visit.ca, "--connect-to",
            f"::127.0.0.1:{visit.port}", visit.url]


def node(visit):
    return ["node", HERE / "client.js", visit.ca, visit.host, visit.port]


class Client(typing.NamedTuple):
    words: typing.Callable
    stranger: str  # what it says of a CA that it does not know
    mismatch: str  # and of a leaf for another host


OPENSSL = ("unable to get local issuer certificate", "IP address mismatch")
CLIENTS = {
    "OpenSSL, TLS 1.2": Client(openssl("-tls1_2"), *OPENSSL),
    "OpenSSL, TLS 1.3": Client(openssl("-tls1_3"), *OPENSSL),
    "Python": Client(python, *OPENSSL),
    "Go": Client(go, "certificate signed by unknown authority", "cannot validate certificate for"),
    "Java": Client(java, "Path does not chain with any of the trust anchors",
                   "No subject alternative names matching IP address"),
    "GnuTLS": Client(gnutls, "certificate issuer is unknown",
                     "name in the certificate does not match"),
    "NSS": Client(nss, "SEC_ERROR_UNKNOWN_ISSUER", "SSL_ERROR_BAD_CERT_DOMAIN"),
    "curl": Client(curl, "unable to get local issuer certificate",
                   "no alternative certificate subject name matches"),
    "Node": Client(node, "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "ERR_TLS_CERT_ALTNAME_INVALID"),
}


def said(done):
    return (done.stdout + done.stderr).decode(errors="replace")


# ---- the place ----

class Place:
    """A gateway that inspects every host of NAMES, and a port for each."""

    def __init__(self, directory, authority):
        self.origin = Origin(*authority.issue(NAME, LONG, "*.leaf.test", "127.0.0.1",
                                              label="leaf-origin"))
        self.six = Origin(*authority.issue("::1", label="leaf-origin-6"), address="::1",
                          port=self.origin.port)
        names = dict.fromkeys([NAME, LONG, *MANY], "127.0.0.1")
        self.journey = Journey(
            directory / "journey", authority, hosts=names,
            rules=[{"name": "leaves", "hosts": [*names, "127.0.0.1", "[::1]"],
                    "ports": [self.origin.port], "action": "allow"}],
            more={"origins": {"roots": str(authority.certificate),
                              "networks": ["127.0.0.0/8", "::1/128"]}})
        self.relay = self.journey.container.relay().__enter__()
        self.forwarders = {host: Forwarder(self.relay.port, self.target(host)) for host in NAMES}
        self.tools = Tools(directory / "tools")
        self.ca = self.journey.gateway.ca_file()
        name = x509.load_pem_x509_certificate(self.ca.read_bytes()).subject
        self.stranger = Authority(directory / "stranger", name.get_attributes_for_oid(
            NameOID.COMMON_NAME)[0].value).certificate

    def target(self, host):
        return f"{bracketed(host)}:{self.origin.port}"

    def visit(self, client, host, *, ca=None, tunnel_to=None):
        visit = Visit(self.tools, ca or self.ca, host, self.forwarders[tunnel_to or host].port,
                      f"https://{self.target(host)}/")
        return run(CLIENTS[client].words(visit), env=self.tools.environment,
                   cwd=self.tools.directory)

    def leaf(self, host):
        """What the gateway serves for it, as DER; verified on the way."""
        with RelayChannel(self.relay.port) as channel:
            assert channel.connect(self.target(host)).status == 200
            return TlsClient(channel, self.ca, host).handshake().tls.getpeercert(binary_form=True)

    def stop(self):
        for forwarder in self.forwarders.values():
            forwarder.stop()
        self.relay.stop()
        self.journey.stop()
        self.origin.close()
        self.six.close()


@pytest.fixture(scope="module")
def real(place, authority):
    made = Place(place / "leaf-clients", authority)
    yield made
    made.stop()


# ---- what they take, and what they refuse ----

@pytest.mark.parametrize("host", NAMES, ids=LABELS)
@pytest.mark.parametrize("client", CLIENTS)
def test_the_client_accepts_the_leaf(real, client, host):
    """Threat H6. The long name has no CN, an empty subject, and so a critical SAN."""
    done = real.visit(client, host)
    assert done.returncode == 0, said(done)


@pytest.mark.parametrize("client", CLIENTS)
def test_the_client_does_not_accept_a_ca_that_has_only_the_same_name(real, client):
    done = real.visit(client, NAME, ca=real.stranger)
    assert done.returncode != 0 and CLIENTS[client].stranger in said(done), said(done)


@pytest.mark.parametrize("client", CLIENTS)
def test_the_client_does_not_accept_the_leaf_of_another_host(real, client):
    done = real.visit(client, ELSEWHERE, tunnel_to=NAME)
    assert done.returncode != 0 and CLIENTS[client].mismatch in said(done), said(done)


@pytest.mark.parametrize("host", NAMES, ids=LABELS)
@pytest.mark.parametrize("library", [[], ["-pp"]], ids=["classic", "libpkix"])
def test_both_verifiers_of_nss_build_the_chain(real, tmp_path, library, host):
    """Threat H6, for the usage "SSL server", which is 1, and for no "SSL client", which is 0."""
    (tmp_path / "leaf.der").write_bytes(real.leaf(host))

    def verify(usage):
        return run(["vfychain", "-d", f"sql:{real.tools.nss_store(real.ca)}", *library, "-u",
                    usage, tmp_path / "leaf.der"], env=real.tools.environment, cwd=tmp_path)

    assert "Chain is good!" in said(verify(1))
    assert "Certificate type not approved for application" in said(verify(0))


@pytest.mark.parametrize("host", NAMES, ids=LABELS)
def test_a_client_whose_clock_is_an_hour_behind_accepts_the_leaf(real, host):
    """Threat H6: and one that is two hours behind does not, so that its clock is what counts."""
    real.leaf(host)
    port = real.forwarders[host].port
    now = int(time.time())

    def visit(behind):
        words = openssl("-attime", now - behind)(Visit(real.tools, real.ca, host, port, ""))
        return run(words, env=real.tools.environment, cwd=real.tools.directory)

    assert visit(3600).returncode == 0
    assert "certificate is not yet valid" in said(visit(7200))


# ---- the leaf itself ----

def extension(certificate, kind):
    found = certificate.extensions.get_extension_for_class(kind)
    return found.value, found.critical


def validity(certificate):
    """(begin, end) in UTC: newer versions of the package warn of dates that do not say so."""
    if hasattr(certificate, "not_valid_before_utc"):
        return certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return tuple(date.replace(tzinfo=datetime.timezone.utc)
                 for date in (certificate.not_valid_before, certificate.not_valid_after))


@pytest.mark.parametrize("host", NAMES, ids=LABELS)
def test_the_leaf_has_the_fields_that_every_client_wants(real, host):
    """Threats H5 and H6."""
    leaf = x509.load_der_x509_certificate(real.leaf(host))
    now = datetime.datetime.now(datetime.timezone.utc)
    begin, end = validity(leaf)
    ca = x509.load_pem_x509_certificate(real.ca.read_bytes())
    ca.public_key().verify(leaf.signature, leaf.tbs_certificate_bytes,
                           ec.ECDSA(leaf.signature_hash_algorithm))
    assert leaf.version is x509.Version.v3
    assert leaf.issuer == ca.subject
    assert leaf.serial_number.bit_length() == SERIAL_BITS + 1  # 17 bytes of the 20 allowed
    hour = datetime.timedelta(hours=1)
    assert hour <= now - begin < hour + datetime.timedelta(minutes=10)
    assert now < end and end - begin <= datetime.timedelta(days=7) + hour
    name = (x509.IPAddress(ipaddress.ip_address(host)) if is_address(host) else x509.DNSName(host))
    assert extension(leaf, x509.SubjectAlternativeName) == (
        x509.SubjectAlternativeName([name]), host == LONG)
    assert [part.value for part in leaf.subject] == ([] if host == LONG else [host])
    assert extension(leaf, x509.ExtendedKeyUsage) == (
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
    assert extension(leaf, x509.BasicConstraints) == (
        x509.BasicConstraints(ca=False, path_length=None), True)
    usage = dict.fromkeys(["content_commitment", "key_encipherment", "data_encipherment",
                           "key_agreement", "key_cert_sign", "crl_sign", "encipher_only",
                           "decipher_only"], False)
    assert extension(leaf, x509.KeyUsage) == (x509.KeyUsage(digital_signature=True, **usage), True)
    ca_key_id = extension(ca, x509.SubjectKeyIdentifier)[0]
    assert extension(leaf, x509.AuthorityKeyIdentifier) == (
        x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_key_id), False)
    assert extension(leaf, x509.SubjectKeyIdentifier) == (
        x509.SubjectKeyIdentifier.from_public_key(leaf.public_key()), False)
    assert len(leaf.extensions) == 6
    assert isinstance(leaf.public_key().curve, ec.SECP256R1)


def test_no_bit_of_the_serial_is_known_in_advance(real):
    """Threat H6: each of its 128 random bits is seen as 0 and as 1 in the leaves of 40 names; that
    one is not, by chance, happens once in 2^32 runs."""
    serials = [x509.load_der_x509_certificate(real.leaf(name)).serial_number for name in MANY]
    seen_0 = seen_1 = 0
    for serial in serials:
        seen_1 |= serial
        seen_0 |= ~serial
    random = (1 << SERIAL_BITS) - 1
    assert seen_0 & seen_1 & random == random
    assert len(set(serials)) == len(MANY)
