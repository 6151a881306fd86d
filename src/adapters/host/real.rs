//! The host as the system tells it.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use cutover_events::workload::{PublishedPort, Transport};
use cutover_proxy::holder::{self, HIDDEN, Holder};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

use super::{Bounds, FolderRefused, Host, Taken, Use};

/// This host.
#[derive(Clone, Debug)]
pub struct RealHost {
    bounds: Bounds,
}

impl RealHost {
    /// With what the configuration allows.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds }
    }
}

impl Host for RealHost {
    fn folder(&self, path: &Path) -> Result<PathBuf, FolderRefused> {
        let of = Use::Mount;
        let found = self.bounds.judge(of, path, |path| std::fs::canonicalize(path).ok())?;
        if found.is_dir() { Ok(found) } else { Err(FolderRefused::Missing { path: path.to_owned(), of }) }
    }

    fn source(&self, path: &Path) -> Result<PathBuf, FolderRefused> {
        let of = Use::Source;
        let found = self.bounds.judge(of, path, |path| std::fs::canonicalize(path).ok())?;
        let readable = found.is_dir() || found.is_file();
        if readable { Ok(found) } else { Err(FolderRefused::Missing { path: path.to_owned(), of }) }
    }

    /// Binds and does not listen: nobody can connect to what is only tried.
    fn taken(&self, port: &PublishedPort) -> Option<Taken> {
        match try_bind(port) {
            Err(Errno::ADDRINUSE) => {
                let spoken = match port.transport {
                    Transport::Tcp => holder::Transport::Tcp,
                    Transport::Udp => holder::Transport::Udp,
                };
                Some(Taken::By(match holder::of(SocketAddr::new(port.address, port.host), spoken) {
                    Holder::Program(who) => who,
                    Holder::Nobody | Holder::Hidden => HIDDEN.to_owned(),
                }))
            }
            Err(Errno::ADDRNOTAVAIL) => Some(Taken::NoSuchAddress),
            // A port that this user may not have, or a family that is switched off, is Docker's to judge.
            Ok(()) | Err(_) => None,
        }
    }
}

fn try_bind(port: &PublishedPort) -> Result<(), Errno> {
    let (family, v6) = match port.address {
        IpAddr::V4(_) => (AddressFamily::INET, false),
        IpAddr::V6(_) => (AddressFamily::INET6, true),
    };
    let kind = match port.transport {
        Transport::Tcp => SocketType::STREAM,
        Transport::Udp => SocketType::DGRAM,
    };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    if v6 {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if port.transport == Transport::Tcp {
        // Connections that have ended keep their port for a minute, and hinder nobody.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    bind(&socket, &SocketAddr::new(port.address, port.host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_before_a_folder_is_judged() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().canonicalize().unwrap().join(name);
        for folder in ["srv/data/x", "srv/data/kept/deep", "etc"] {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        std::fs::write(at("srv/data/file"), "").unwrap();
        std::os::unix::fs::symlink(at("etc"), at("srv/data/out")).unwrap();
        std::os::unix::fs::symlink(at("srv/data/x"), at("srv/data/in")).unwrap();
        std::os::unix::fs::symlink(at("srv"), at("link")).unwrap();
        let kept = vec![at("srv/data/kept/deep")];
        let bounds = Bounds { allowed: vec![at("link/data")], sources: vec![at("srv/data/x")], kept };
        let host = RealHost::new(bounds);
        let of = |name: &str| host.folder(&at(name));
        assert_eq!(of("link/data/x"), Ok(at("srv/data/x")));
        assert_eq!(of("link/data/in"), Ok(at("srv/data/x")));
        assert!(matches!(of("link/data/out"), Err(FolderRefused::LeadsOut { .. })));
        assert!(matches!(of("link/database"), Err(FolderRefused::Outside { .. })));
        assert!(matches!(of("etc"), Err(FolderRefused::Outside { .. })));
        assert!(matches!(of("link/data/none"), Err(FolderRefused::Missing { .. })));
        assert!(matches!(of("link/data/file"), Err(FolderRefused::Missing { .. })));
        for name in ["link/data", "link/data/kept", "link/data/kept/deep"] {
            assert!(matches!(of(name), Err(FolderRefused::Kept { .. })), "{name}");
        }
        let none = RealHost::new(Bounds::default()).folder(Path::new("/srv")).unwrap_err().to_string();
        assert!(none.contains("[limits] bind") && none.contains("allows none"), "{none}");
    }

    #[test]
    fn sources_are_folders_and_archives_below_what_is_allowed_for_them() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().canonicalize().unwrap().join(name);
        for folder in ["src/api", "data"] {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        std::fs::write(at("src/api.tar"), "").unwrap();
        std::os::unix::fs::symlink(at("data"), at("src/out")).unwrap();
        let bounds = Bounds { allowed: vec![at("data")], sources: vec![at("src")], kept: Vec::new() };
        let host = RealHost::new(bounds);
        assert_eq!(host.source(&at("src/api")), Ok(at("src/api")));
        assert_eq!(host.source(&at("src/api.tar")), Ok(at("src/api.tar")));
        assert!(matches!(host.source(&at("data")), Err(FolderRefused::Outside { .. })), "mounted is not built");
        assert!(matches!(host.source(&at("src/out")), Err(FolderRefused::LeadsOut { .. })));
        assert!(matches!(host.source(&at("src/none")), Err(FolderRefused::Missing { .. })));
        let none = RealHost::new(Bounds::default()).source(Path::new("/srv")).unwrap_err().to_string();
        assert!(none.contains("[limits] sources") && none.contains("allows none"), "{none}");
    }
}
