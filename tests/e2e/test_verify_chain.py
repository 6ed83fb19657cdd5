# SPDX-License-Identifier: Apache-2.0
"""Which chains of origins are taken (threat H1), by tests/tools/verify-chain: the gateway's own
verification as a program. Each row is a chain that differs from a good one in one thing."""
import base64
import datetime
import hashlib
import ipaddress
import os
import pathlib
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage
from cryptography.x509.oid import NameOID

PROGRAM = pathlib.Path(os.environ.get("EXEAT_BUILD", "build")) / "tests/tools/verify-chain"
NOW = datetime.datetime.utcnow().replace(microsecond=0)
DAY = datetime.timedelta(days=1)
HOST = "www.good.test"


class Node:
    """A certificate with its key."""

    serial = 1000

    def __init__(self, name, issuer=None, *, ca=True, pathlen=None, san=None, eku=None, key=None,
                 begin=NOW - DAY, end=NOW + 30 * DAY, digest=hashes.SHA256(), usage=True,
                 more=(), signer=None, constraints=True):
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        by = issuer or self
        Node.serial += 1
        builder = (x509.CertificateBuilder().subject_name(self.name).issuer_name(by.name)
                   .public_key(self.key.public_key()).serial_number(Node.serial)
                   .not_valid_before(begin).not_valid_after(end))
        if constraints:
            builder = builder.add_extension(x509.BasicConstraints(ca, pathlen if ca else None), True)
        if usage:
            builder = builder.add_extension(x509.KeyUsage(
                digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, content_commitment=False,
                key_encipherment=False, data_encipherment=False, key_agreement=False,
                encipher_only=False, decipher_only=False), True)
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False)
        if issuer:
            builder = builder.add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), False)
        if san:
            builder = builder.add_extension(x509.SubjectAlternativeName(san), False)
        if eku:
            builder = builder.add_extension(x509.ExtendedKeyUsage(eku), False)
        for extension, critical in more:
            builder = builder.add_extension(extension, critical)
        self.certificate = builder.sign((signer or by).key, digest)

    @property
    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)


ROOT = Node("root")
MIDDLE = Node("middle", ROOT)


class Sha1:
    """The same certificate signed with RSA and SHA-1 by an issuer, which libraries no longer do."""

    def __init__(self, node, issuer):
        whole = node.certificate.public_bytes(serialization.Encoding.DER)
        old, new = (bytes.fromhex("2a864886f70d0101" + last) for last in ("0b", "05"))
        body = node.certificate.tbs_certificate_bytes
        assert whole.count(old) == 2 and body.count(old) == 1
        body_sha1 = body.replace(old, new)
        numbers = issuer.key.private_numbers()
        size = issuer.key.key_size // 8
        digest = bytes.fromhex("3021300906052b0e03021a05000414") + hashlib.sha1(body_sha1).digest()
        padded = b"\0\1" + b"\xff" * (size - 3 - len(digest)) + b"\0" + digest
        signature = pow(int.from_bytes(padded, "big"), numbers.d, numbers.public_numbers.n)
        whole = whole.replace(body, body_sha1).replace(old, new)
        self.pem = ("-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(
            whole[:-size] + signature.to_bytes(size, "big")).decode()
            + "-----END CERTIFICATE-----\n").encode()


RSA_MIDDLE = Node("rsa", ROOT, key=rsa.generate_private_key(65537, 2048))
RSA_ROOT = Node("rsa root", key=rsa.generate_private_key(65537, 2048))


def dns(*names):
    return [x509.DNSName(name) for name in names]


def leaf(issuer=MIDDLE, san=None, **more):
    return Node("leaf", issuer, ca=False, san=dns(HOST) if san is None else san,
                **{"eku": [Usage.SERVER_AUTH], **more})


def verify(tmp_path, chain, host=HOST, root=None):
    """(status, what it prints)"""
    path = tmp_path / "root.pem"
    path.write_bytes((root or ROOT).pem)
    pem = chain if isinstance(chain, bytes) else b"".join(node.pem for node in chain)
    done = subprocess.run([PROGRAM, "--root", path, "--host", host], input=pem, check=False,
                          capture_output=True, timeout=20)
    assert done.stderr == b"" and done.stdout.count(b"\n") == 1, done
    return done.returncode, done.stdout.decode().strip()


def under(*middles, **options):
    return [leaf(middles[-1], **options), *reversed(middles)]


def constrained(permitted=None, excluded=None):
    names = x509.NameConstraints(permitted, excluded)
    return Node("constrained", ROOT, more=[(names, True)])


def accepted():
    second = Node("second", MIDDLE)
    third = Node("third", second)
    yield "one intermediate", [leaf(), MIDDLE], HOST
    yield "none", [leaf(ROOT)], HOST
    yield "several", [leaf(third), third, second, MIDDLE], HOST
    yield "in another order", [leaf(third), MIDDLE, third, second], HOST
    yield "with the root and strangers", [leaf(), ROOT, Node("stranger"), MIDDLE], HOST
    yield "a second path that is over", [leaf(), Node("middle", ROOT, key=MIDDLE.key,
                                                      end=NOW - DAY / 2), MIDDLE], HOST
    yield "no extended key usage", [leaf(eku=None), MIDDLE], HOST
    yield "one of several names", [leaf(san=dns("a.test", HOST)), MIDDLE], HOST
    yield "upper case", [leaf(), MIDDLE], HOST.upper()
    yield "a wildcard for one label", [leaf(san=dns("*.good.test")), MIDDLE], HOST
    yield "an address", [leaf(san=[x509.IPAddress(ipaddress.ip_address("192.0.2.1"))]),
                         MIDDLE], "192.0.2.1"
    yield "an address of IPv6", [leaf(san=[x509.IPAddress(ipaddress.ip_address("2001:db8::1"))]),
                                 MIDDLE], "2001:db8::1"
    yield "a permitted name", under(constrained(permitted=dns("good.test"))), HOST
    yield "nothing excluded", under(constrained(excluded=dns("bad.test"))), HOST
    yield "a path as long as allowed", under(Node("p", ROOT, pathlen=0)), HOST
    yield "RSA 2048", [leaf(key=rsa.generate_private_key(65537, 2048)), MIDDLE], HOST
    yield "an issuer with RSA", [leaf(RSA_MIDDLE), RSA_MIDDLE], HOST
    yield "P-384", [leaf(key=ec.generate_private_key(ec.SECP384R1())), MIDDLE], HOST


def refused():
    long = [Node("0", ROOT)]
    for i in range(1, 11):
        long.append(Node(str(i), long[-1]))
    stranger = Node("stranger")
    yield "expired", [leaf(end=NOW - DAY / 2), MIDDLE], HOST, "has expired"
    yield "not yet valid", [leaf(begin=NOW + DAY), MIDDLE], HOST, "not yet valid"
    yield "expired intermediate", under(Node("m", ROOT, end=NOW - DAY / 2)), HOST, "has expired"
    yield "self-signed", [Node("self", ca=False, san=dns(HOST))], HOST, "self-signed"
    yield "unknown root", [leaf(stranger), stranger], HOST, "self-signed certificate in"
    yield "intermediate missing", [leaf()], HOST, "unable to get local issuer"
    yield "first is the intermediate", [MIDDLE, leaf()], HOST, ""
    yield "forged signature", [leaf(signer=stranger), MIDDLE], HOST, "signature"
    yield "wrong host", [leaf(), MIDDLE], "www.bad.test", "ostname mismatch"
    yield "common name only", [Node(HOST, MIDDLE, ca=False), MIDDLE], HOST, "ostname mismatch"
    yield "address as a name", [leaf(san=dns("192.0.2.1")), MIDDLE], "192.0.2.1", "IP address"
    yield "name for an address", [leaf(), MIDDLE], "192.0.2.1", "IP address mismatch"
    yield "another address", [leaf(san=[x509.IPAddress(ipaddress.ip_address("192.0.2.1"))]),
                              MIDDLE], "192.0.2.2", "IP address mismatch"
    yield "wildcard for two labels", [leaf(san=dns("*.test")), MIDDLE], HOST, "ostname"
    yield "wildcard for none", [leaf(san=dns("*.www.good.test")), MIDDLE], HOST, "ostname"
    yield "partial wildcard", [leaf(san=dns("w*.good.test")), MIDDLE], HOST, "ostname"
    yield "wildcard inside", [leaf(san=dns("www.*.test")), MIDDLE], HOST, "ostname"
    yield "two wildcards", [leaf(san=dns("*.*.test")), MIDDLE], HOST, "ostname"
    yield "bad EKU", [leaf(eku=[Usage.CLIENT_AUTH]), MIDDLE], HOST, "purpose"
    yield "bad EKU of a CA", under(Node("m", ROOT, eku=[Usage.CODE_SIGNING])), HOST, "purpose"
    yield "no CA bit", under(Node("m", ROOT, ca=False)), HOST, "CA"
    yield "no CA key usage", under(Node("m", ROOT, constraints=False, usage=False)), HOST, "CA"
    yield "leaf signs leaf", [leaf(leaf()), leaf(), MIDDLE], HOST, ""
    yield "pathlen", under(Node("m", ROOT, pathlen=0),
                           Node("n", Node("m", ROOT, pathlen=0))), HOST, ""
    yield "too deep", [leaf(long[-1]), *long], HOST, ""
    yield "not permitted", under(constrained(permitted=dns("bad.test"))), HOST, "permitted subtree"
    yield "excluded", under(constrained(excluded=dns("good.test"))), HOST, "excluded subtree"
    yield "critical and unknown", [
        leaf(more=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\5\0"), True)]),
        MIDDLE], HOST, "critical"
    yield "RSA 1024", [leaf(key=rsa.generate_private_key(65537, 1024)), MIDDLE], HOST, "too weak"
    yield "RSA 1024 of a CA", under(
        Node("m", ROOT, key=rsa.generate_private_key(65537, 1024))), HOST, "too weak"
    yield "SHA-1", [Sha1(leaf(RSA_MIDDLE), RSA_MIDDLE), RSA_MIDDLE], HOST, "too weak"
    yield "a key no handshake is signed with", [
        leaf(key=dsa.generate_private_key(2048)), MIDDLE], HOST, "application verification"
    yield "NUL in the name", [leaf(san=dns(HOST + "\0.bad.test")), MIDDLE], HOST, "ostname"
    yield "NUL behind the name", [leaf(san=dns(HOST + "\0")), MIDDLE], HOST, "ostname"
    yield "huge", [leaf(), MIDDLE, *[stranger] * 400], HOST, "larger than 102400 bytes"
    yield "huger than its reader", [leaf(), MIDDLE, *[stranger] * 4000], HOST, "larger than"
    yield "nothing", b"", HOST, "no certificate"
    yield "no PEM", b"hello\n", HOST, "no certificate"
    yield "cut", leaf().pem[:-30], HOST, ""
    yield "a key in it", leaf().pem + leaf().key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()), HOST, "more than certificates"
    yield "no certificate inside", (b"-----BEGIN CERTIFICATE-----\nMAA=\n"
                                    b"-----END CERTIFICATE-----\n"), HOST, ""
    yield "no host", [leaf(), MIDDLE], "*.good.test", ""


def test_good_chains_are_taken(tmp_path):
    """H1"""
    answers = {what: verify(tmp_path, chain, host) for what, chain, host in accepted()}
    assert {what: answer for what, answer in answers.items() if answer != (0, "ACCEPT")} == {}


def test_bad_chains_are_refused_and_why(tmp_path):
    """H1: expired, future, self-signed, wrong host, IP vs name, CN only, wildcard depth, bad EKU,
    no CA bit, pathlen, name constraints, weak key/sig, NUL in name."""
    wrong = {}
    for what, chain, host, why in refused():
        status, line = verify(tmp_path, chain, host)
        if status != 1 or not line.startswith("REJECT ") or len(line) < 10 or why not in line:
            wrong[what] = (status, line)
    assert wrong == {}


def test_a_ca_signed_with_sha1_is_refused(tmp_path):
    """H1: also where the leaf itself is signed well."""
    middle = Node("m", RSA_ROOT)
    assert verify(tmp_path, [leaf(middle), middle], root=RSA_ROOT) == (0, "ACCEPT")
    status, line = verify(tmp_path, [leaf(middle), Sha1(middle, RSA_ROOT)], root=RSA_ROOT)
    assert status == 1 and "too weak" in line


def test_a_chain_is_judged_by_its_own_root(tmp_path):
    assert verify(tmp_path, [leaf(), MIDDLE], root=Node("root"))[0] == 1
    assert verify(tmp_path, [leaf(), MIDDLE])[0] == 0


@pytest.mark.parametrize("words", [[], ["--root"], ["--root", "/nowhere", "--host", "a.test"],
                                   ["--root", "/dev/null", "--host", "a.test"], ["--wrong"]])
def test_what_it_cannot_judge_is_status_2(words):
    """H2: no roots is no verdict."""
    done = subprocess.run([PROGRAM, *words], input=b"", capture_output=True, check=False, timeout=20)
    assert done.returncode == 2 and done.stdout == b"" and done.stderr.startswith(b"verify-chain: ")
