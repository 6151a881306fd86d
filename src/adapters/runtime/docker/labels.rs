//! What our containers and networks carry: written and read in one place.

use std::collections::HashMap;

use cutover_domain::observed::DockerId;
use cutover_events::{DeploymentId, LogId, ReleaseId, UnitId, WorkloadId};

use super::super::{Alone, CreateContainer, Witness, labels};

/// Labels as the library has them.
pub(super) type Labels = HashMap<String, String>;

/// Who a container is, by its labels.
pub(super) struct Identity {
    pub(super) log: LogId,
    pub(super) unit: UnitId,
    pub(super) workload: WorkloadId,
    pub(super) full_name: String,
    pub(super) release: ReleaseId,
    pub(super) deployment: DeploymentId,
    pub(super) witness: Option<Witness>,
}

/// The labels of a container to be.
pub(super) fn write(log: LogId, container: &CreateContainer) -> Labels {
    let Witness { position, chain } = container.witness;
    [
        (labels::LOG, log.to_string()),
        (labels::WORKLOAD, container.workload.to_string()),
        (labels::NAME, container.full_name.clone()),
        (labels::UNIT, container.unit.to_string()),
        (labels::RELEASE, container.release.to_string()),
        (labels::DEPLOYMENT, container.deployment.to_string()),
        (labels::WITNESS, format!("{position}:{chain}")),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

/// The labels of a container that a person's program has for itself.
pub(super) fn write_alone(log: LogId, alone: &Alone) -> Labels {
    let mut all = write(log, &alone.container);
    all.retain(|key, _| key != labels::UNIT && key != labels::DEPLOYMENT);
    all.insert(labels::ERRAND.to_owned(), alone.errand.to_string());
    all
}

/// Who a container is; `None` when it does not say so completely, and so is nobody that we made.
pub(super) fn read(found: &Labels) -> Option<Identity> {
    Some(Identity {
        log: found.get(labels::LOG)?.parse().ok()?,
        unit: found.get(labels::UNIT)?.parse().ok()?,
        workload: found.get(labels::WORKLOAD)?.parse().ok()?,
        full_name: found.get(labels::NAME).cloned().unwrap_or_default(),
        release: found.get(labels::RELEASE)?.parse().ok()?,
        deployment: found.get(labels::DEPLOYMENT)?.parse().ok()?,
        witness: found.get(labels::WITNESS).and_then(|text| witness(text)),
    })
}

fn witness(text: &str) -> Option<Witness> {
    let (position, chain) = text.split_once(':')?;
    Some(Witness { position: position.parse().ok()?, chain: chain.parse().ok()? })
}

/// Docker's id of a container from its 64 hex digits.
pub(super) fn docker_id(text: &str) -> Option<DockerId> {
    let mut id = [0; 32];
    hex::decode_to_slice(text, &mut id).ok()?;
    Some(DockerId(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_events::Digest;

    #[test]
    fn a_damaged_witness_is_none_and_a_damaged_id_is_nobody() {
        let chain = Digest([7; 32]);
        let good = Witness { position: 12, chain };
        assert_eq!(witness(&format!("12:{chain}")), Some(good));
        for bad in ["", "12", "x:00", "12:00"] {
            assert_eq!(witness(bad), None, "{bad}");
        }
        assert!(read(&Labels::from([(labels::LOG.to_owned(), LogId([1; 16]).to_string())])).is_none());
    }
}
