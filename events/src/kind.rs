//! The catalogue of events: each has a number that is never reused, and a version of its shape.

use crate::codec::{self, CodecError};
use crate::{delivery::*, deployment::*, engine::*, errand::*, release::*, workload::*};

macro_rules! catalogue {
    ($($number:literal $name:ident $version:literal $stream:literal $meaning:literal;)*) => {
        /// What has happened.
        #[derive(Clone, PartialEq, Eq, Hash, Debug)]
        pub enum Event {
            $(#[doc = $meaning] $name($name),)*
        }

        /// Every kind of event, in the order of numbers.
        pub const CATALOGUE: &[Kind] = &[
            $(Kind { number: $number, name: stringify!($name), version: $version, stream: $stream, meaning: $meaning },)*
        ];

        impl Event {
            /// Its kind.
            #[must_use]
            pub const fn kind(&self) -> &'static Kind {
                match self {
                    $(Self::$name(_) => &Kind { number: $number, name: stringify!($name), version: $version, stream: $stream, meaning: $meaning },)*
                }
            }

            /// Its payload in the stored form.
            ///
            /// # Errors
            /// When the payload cannot be encoded, which only a bug in a shape can bring about.
            pub fn payload(&self) -> Result<Vec<u8>, CodecError> {
                match self {
                    $(Self::$name(event) => codec::encode(event),)*
                }
            }

            /// Reads a stored payload.
            ///
            /// # Errors
            /// Unknown number or version, damaged or trailing bytes.
            pub fn from_payload(number: u16, version: u8, payload: &[u8]) -> Result<Self, CodecError> {
                match (number, version) {
                    $(($number, $version) => Ok(Self::$name(codec::decode(payload)?)),)*
                    _ => Err(CodecError::UnknownKind { number, version }),
                }
            }
        }

        $(impl From<$name> for Event {
            fn from(event: $name) -> Self {
                Self::$name(event)
            }
        })*
    };
}

/// A row of the catalogue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kind {
    /// Never reused.
    pub number: u16,
    /// As people and exports call it.
    pub name: &'static str,
    /// Of the shape; older ones have an upcaster.
    pub version: u8,
    /// The stream that it belongs to.
    pub stream: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

catalogue! {
    1 LogBegun 1 "engine" "The log id was minted; always the first event.";
    2 EngineStarted 1 "engine" "An engine has taken over; its position is the writer epoch.";
    3 NetworkMade 1 "engine" "A network for a project.";
    4 NetworkRemoved 1 "engine" "A network was seen gone.";
    5 TokenAdded 1 "engine" "A token for the API, by its hash.";
    6 TokenRevoked 1 "engine" "A token is no longer accepted.";
    7 Held 1 "engine" "Destructive effects are refused until a person decides.";
    8 Confirmed 1 "engine" "A person has decided that the engine goes on.";
    9 HookAdded 1 "engine" "A source of deliveries was configured.";
    10 HookRotated 1 "engine" "A hook has a new secret.";
    11 HookRemoved 1 "engine" "A hook is gone.";
    12 Frozen 1 "engine" "A person is at work: the engine does nothing by itself to what is frozen.";
    13 Thawed 1 "engine" "The engine goes on by itself.";
    20 WorkloadRegistered 1 "registry" "A workload was named for the first time.";
    21 SpecRevised 1 "registry" "The wish for what should run has changed.";
    22 ClaimsFreed 1 "registry" "Nothing holds these claims any more.";
    23 VolumesUnwanted 1 "registry" "The volumes made for a workload go with it, after this teardown.";
    24 VolumesRemoved 1 "registry" "The volumes made for a workload were seen gone.";
    30 DeliveryReceived 1 "hook" "A delivery was verified and is on disk; the 202 follows.";
    31 DeliveryDecided 1 "hook" "The verdict of every rule on a delivery.";
    40 IntentQueued 1 "workload" "A durable wish; its id is the deployment's.";
    41 IntentSuperseded 1 "workload" "The end of a wish by a newer one.";
    42 IntentCancelled 1 "workload" "The end of a wish by a person.";
    43 DeploymentBegun 1 "workload" "The lane is taken.";
    44 ReleaseResolved 1 "workload" "From here on only the digest is used.";
    45 DeploymentPlanned 1 "workload" "Every step is decided.";
    46 StepSucceeded 1 "workload" "A step was seen done.";
    47 StepFailed 1 "workload" "A step did not come to its end.";
    48 SwapCommitted 1 "workload" "The gate has passed; the point of no return.";
    49 Swapped 1 "workload" "The router shows the targets at the generation.";
    50 SwapRefused 1 "workload" "The router's own probe refused; a fence follows.";
    51 RouteBackCommitted 1 "workload" "Green failed while it was watched; the route goes back.";
    52 BlueDrained 1 "workload" "Blue has no connections left; what was cut.";
    53 DeploymentSucceeded 1 "workload" "The end, and the lists from here on.";
    54 DeploymentFailed 1 "workload" "The end without success, and the lists from here on.";
    55 UnitRemoved 1 "workload" "A unit of the removal list was seen gone.";
    56 RouteReasserted 1 "workload" "The router is behind the log; the route is written again.";
    57 DriftSeen 1 "workload" "The world differs from what the log says.";
    58 StandbyExpired 1 "workload" "The standby goes to the removal list.";
    59 WorkloadTornDown 1 "workload" "Nothing of the workload is left.";
    60 Parked 1 "workload" "A deployment waits for a person.";
    61 Resumed 1 "workload" "A person lets a parked deployment go on.";
    62 DowntimeOpened 1 "workload" "The point of no return of an exclusive workload; it does not serve from here on.";
    63 Unrouted 1 "workload" "The router shows that nothing is routed; requests wait.";
    64 RestorePlanned 1 "workload" "The new release of an exclusive workload failed; the old one starts again, once.";
    65 ReleaseCommandStarted 1 "workload" "The release command is started now: what becomes of it, it is not started a second time by itself.";
    66 ReleaseCommandEnded 1 "workload" "The release command was seen to end.";
    70 DriftEnded 1 "workload" "What differed is as the log says again.";
    71 ImageAwaited 1 "workload" "The registry does not have the image yet; the wish waits for it, without the lane.";
    72 Accepted 1 "workload" "A person lets automatic wishes deploy a rejected image again.";
    73 ErrandBegun 1 "workload" "A person is about to run a program in a container.";
    74 ErrandEnded 1 "workload" "What a person ran in a container is over.";
}

impl Event {
    /// The plan that it records, where it does.
    #[must_use]
    pub fn plan(&self) -> Option<(crate::DeploymentId, &crate::plan::Plan)> {
        match self {
            Self::DeploymentPlanned(e) => Some((e.deployment, &e.plan)),
            Self::RestorePlanned(e) => Some((e.deployment, &e.plan)),
            _ => None,
        }
    }

    /// The deployment that it belongs to, where it does.
    #[must_use]
    pub fn deployment(&self) -> Option<crate::DeploymentId> {
        match self {
            Self::IntentQueued(e) => Some(e.deployment),
            Self::IntentSuperseded(e) => Some(e.deployment),
            Self::IntentCancelled(e) => Some(e.deployment),
            Self::DeploymentBegun(e) => Some(e.deployment),
            Self::ReleaseResolved(e) => Some(e.deployment),
            Self::DeploymentPlanned(e) => Some(e.deployment),
            Self::StepSucceeded(e) => Some(e.deployment),
            Self::StepFailed(e) => Some(e.deployment),
            Self::SwapCommitted(e) => Some(e.deployment),
            Self::Swapped(e) => Some(e.deployment),
            Self::SwapRefused(e) => Some(e.deployment),
            Self::RouteBackCommitted(e) => Some(e.deployment),
            Self::BlueDrained(e) => Some(e.deployment),
            Self::DeploymentSucceeded(e) => Some(e.deployment),
            Self::DeploymentFailed(e) => Some(e.deployment),
            Self::WorkloadTornDown(e) => Some(e.deployment),
            Self::Parked(e) => Some(e.deployment),
            Self::Resumed(e) => Some(e.deployment),
            Self::DowntimeOpened(e) => Some(e.deployment),
            Self::Unrouted(e) => Some(e.deployment),
            Self::RestorePlanned(e) => Some(e.deployment),
            Self::VolumesUnwanted(e) => Some(e.deployment),
            Self::ImageAwaited(e) => Some(e.deployment),
            Self::ReleaseCommandStarted(e) => Some(e.deployment),
            Self::ReleaseCommandEnded(e) => Some(e.deployment),
            Self::LogBegun(_)
            | Self::EngineStarted(_)
            | Self::NetworkMade(_)
            | Self::NetworkRemoved(_)
            | Self::TokenAdded(_)
            | Self::TokenRevoked(_)
            | Self::Held(_)
            | Self::Confirmed(_)
            | Self::HookAdded(_)
            | Self::HookRotated(_)
            | Self::HookRemoved(_)
            | Self::WorkloadRegistered(_)
            | Self::SpecRevised(_)
            | Self::ClaimsFreed(_)
            | Self::VolumesRemoved(_)
            | Self::DeliveryReceived(_)
            | Self::DeliveryDecided(_)
            | Self::UnitRemoved(_)
            | Self::RouteReasserted(_)
            | Self::DriftSeen(_)
            | Self::Accepted(_)
            | Self::ErrandBegun(_)
            | Self::ErrandEnded(_)
            | Self::DriftEnded(_)
            | Self::Frozen(_)
            | Self::Thawed(_)
            | Self::StandbyExpired(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique_and_sorted() {
        assert!(CATALOGUE.windows(2).all(|pair| pair[0].number < pair[1].number));
        let mut names: Vec<_> = CATALOGUE.iter().map(|kind| kind.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CATALOGUE.len());
    }
}
