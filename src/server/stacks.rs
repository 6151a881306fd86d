//! Where stacks are kept and which Compose carries them out.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use cutover_events::{Digest, WorkloadId};
use zeroize::Zeroizing;

use crate::adapters::compose::{ComposeConfig, RealCompose, Stacks, Vault};
use crate::adapters::host::RealHost;
use crate::adapters::units::StackUnits;
use crate::clock::Clock;
use crate::config::Config;
use crate::secrets::{Owner, Secrets};

/// Where programs are looked for, whatever the engine was started with.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where Docker's own program keeps the credentials of registries for root.
const HOME_OF_ROOT: &str = "/root";

/// Opens them.
pub(super) fn open(
    config: &Config,
    (secrets, host): (Arc<Secrets>, Arc<RealHost>),
    clock: Clock,
) -> io::Result<StackUnits> {
    let dir = &config.data_dir;
    let found = ComposeConfig {
        root: dir.join("compose"),
        socket: config.docker.socket.clone(),
        path: PATH.to_owned(),
        home: if rustix::process::geteuid().is_root() { PathBuf::from(HOME_OF_ROOT) } else { dir.clone() },
        program: config.docker.compose.clone(),
    };
    let compose = RealCompose::new(&found);
    let stacks = Stacks::of(dir, Arc::new(compose), Arc::new(Sealed(secrets)), (host, config.limits.stacks.clone()));
    StackUnits::open(dir, Arc::new(stacks), clock)
}

/// Texts of stacks, sealed as the values of their workload are.
struct Sealed(Arc<Secrets>);

impl Vault for Sealed {
    fn seal(&self, workload: WorkloadId, text: &str) -> Result<Digest, String> {
        self.0.seal(Owner::Workload(workload), text.as_bytes()).map_err(|error| error.to_string())
    }

    fn unseal(&self, workload: WorkloadId, sealed: Digest) -> Result<Zeroizing<String>, String> {
        self.0.unseal(Owner::Workload(workload), sealed).map_err(|error| error.to_string())
    }

    fn mac(&self, workload: WorkloadId, text: &str) -> Result<[u8; 16], String> {
        self.0.mac(Owner::Workload(workload), text.as_bytes()).map_err(|error| error.to_string())
    }
}
