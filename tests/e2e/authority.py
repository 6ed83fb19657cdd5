# SPDX-License-Identifier: Apache-2.0
"""A private certificate authority for origins, by the openssl command."""
import pathlib
import subprocess

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def openssl(*words, cwd=None):
    done = subprocess.run(["openssl", *words], cwd=cwd, capture_output=True, check=False,
                          env={"PATH": "/usr/bin:/bin"})
    if done.returncode != 0:
        raise AssertionError(f"openssl {' '.join(words)}: {done.stderr.decode()}")
    return done.stdout


class Authority:
    def __init__(self, directory, name="Origins of the tests"):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.certificate = self.directory / "ca.pem"
        self.key = self.directory / "ca.key"
        openssl("req", "-x509", *KEY, "-keyout", self.key.name, "-out", self.certificate.name,
                "-days", "2", "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:true",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign", cwd=self.directory)

    def issue(self, *names, label=None, days=2):
        """(certificate chain, key) for these names; days=-1 makes one that has expired."""
        label = label or names[0]
        kinds = [("IP:" if ":" in name or name.replace(".", "").isdigit() else "DNS:") + name
                 for name in names]
        openssl("req", "-new", *KEY, "-keyout", f"{label}.key", "-out", f"{label}.csr",
                "-subj", f"/CN={names[0]}", cwd=self.directory)
        (self.directory / f"{label}.ext").write_text(
            f"subjectAltName={','.join(kinds)}\nbasicConstraints=critical,CA:false\n"
            "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n"
            "authorityKeyIdentifier=keyid\n")
        openssl("x509", "-req", "-in", f"{label}.csr", "-CA", self.certificate.name, "-CAkey",
                self.key.name, "-days", str(days), "-out", f"{label}.pem", "-extfile",
                f"{label}.ext", cwd=self.directory)
        return self.directory / f"{label}.pem", self.directory / f"{label}.key"
