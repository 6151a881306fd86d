#![allow(missing_docs)]
use cutover_events::{Digest, WorkloadId};
pub struct Secrets;
#[derive(Clone, Copy)]
pub enum Owner {
    Engine,
    Workload(WorkloadId),
}
impl Secrets {
    pub fn unseal(&self, _: Owner, _: Digest) -> Result<zeroize::Zeroizing<String>, std::io::Error> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}
