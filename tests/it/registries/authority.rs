//! Certificates of an authority that the tests are themselves, made by openssl, and Docker's trust in it.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where Docker looks for what it trusts of one registry.
const TRUSTED: &str = "/etc/docker/certs.d";

/// Signs certificates.
pub(super) struct Authority {
    folder: PathBuf,
}

/// Of a registry.
pub(super) struct Certificate {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// Docker trusts the authority for one registry for as long as this lives.
pub(super) struct Trusted(PathBuf);

impl Authority {
    pub(super) fn new(folder: &Path) -> Self {
        let authority = Self { folder: folder.join("authority") };
        std::fs::create_dir(&authority.folder).unwrap();
        let made =
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout ca.key -out ca.crt";
        let own = ["-subj", "/CN=an authority of a test", "-addext", "keyUsage=critical,keyCertSign"];
        authority.openssl(made, &own);
        authority
    }

    /// A certificate for an address, valid for that many days from now on.
    pub(super) fn certificate(&self, name: &str, address: Ipv4Addr, days: i8) -> Certificate {
        let file = |ending: &str| format!("{name}.{ending}");
        let (key, request, extensions, certificate) = (file("key"), file("csr"), file("ext"), file("crt"));
        let made = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        self.openssl(made, &["-subj", &format!("/CN={name}"), "-keyout", &key, "-out", &request]);
        std::fs::write(self.folder.join(&extensions), format!("subjectAltName=IP:{address}\n")).unwrap();
        let signed = "x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial";
        let days = days.to_string();
        self.openssl(signed, &["-in", &request, "-out", &certificate, "-extfile", &extensions, "-days", &days]);
        Certificate { certificate: self.folder.join(certificate), key: self.folder.join(key) }
    }

    /// Docker trusts a registry `host:port` from now on.
    pub(super) fn trusted(&self, host: &str) -> Trusted {
        let folder = Path::new(TRUSTED).join(host);
        let made = std::fs::create_dir_all(&folder);
        made.unwrap_or_else(|error| panic!("{} ({error}): run the tests as whoever may change it", folder.display()));
        std::fs::copy(self.folder.join("ca.crt"), folder.join("ca.crt")).unwrap();
        Trusted(folder)
    }

    fn openssl(&self, words: &str, more: &[&str]) {
        let mut command = Command::new("openssl");
        command.args(words.split(' ')).args(more).current_dir(&self.folder);
        let done = command.output().unwrap_or_else(|error| panic!("openssl ({error}): run scripts/docker first"));
        assert!(done.status.success(), "openssl {words} {more:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Trusted {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
        // That of all registries is left where others are in it.
        drop(std::fs::remove_dir(TRUSTED));
    }
}
