//! Identifiers: ULIDs, a newtype each, stored as 16 fixed bytes, shown with a type prefix.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

/// The text is not an identifier of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a {kind} id: expected \"{prefix}\" and 26 letters or digits")]
pub struct BadId {
    /// What kind of identifier was expected, for people.
    pub kind: &'static str,
    /// The prefix that such an identifier begins with.
    pub prefix: &'static str,
    /// What was given, cut to 80 characters.
    pub text: String,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $prefix:literal $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(#[serde(with = "crate::array")] pub [u8; 16]);

        impl $name {
            /// The text that every identifier of this kind begins with.
            pub const PREFIX: &'static str = $prefix;

            /// Wraps a ULID.
            #[must_use]
            pub const fn from_ulid(ulid: Ulid) -> Self {
                Self(ulid.to_bytes())
            }

            /// The 26 characters without the prefix, lower case: safe in the name of a container.
            #[must_use]
            pub fn suffix(&self) -> String {
                Ulid::from_bytes(self.0).to_string().to_ascii_lowercase()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $prefix, Ulid::from_bytes(self.0).to_string().to_ascii_lowercase())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                let bad = || BadId { kind: $kind, prefix: $prefix, text: text.chars().take(80).collect() };
                let rest = text.strip_prefix($prefix).ok_or_else(bad)?;
                Ulid::from_string(&rest.to_ascii_uppercase()).map(Self::from_ulid).map_err(|_| bad())
            }
        }
    )*};
}

ids! {
    /// One log, and everything on Docker and in the proxy that it owns.
    LogId "log_" "log";
    /// A workload, for ever: a name that is torn down and applied again keeps its id.
    WorkloadId "wl_" "workload";
    /// An intent and the deployment that comes of it: one id from the answer to the last event.
    DeploymentId "dep_" "deployment";
    /// An immutable resolved artifact together with its spec revision.
    ReleaseId "rel_" "release";
    /// One container (later also a release folder or a compose project); its name is made of it and never used again.
    UnitId "unit_" "unit";
    /// One configured source of deliveries; unguessable, but not the authentication.
    HookId "hook_" "hook";
    /// One incoming call of a hook.
    DeliveryId "dlv_" "delivery";
    /// A token for the API.
    TokenId "tok_" "token";
    /// Something that a person runs in a container.
    ErrandId "erd_" "errand";
    /// One start of the engine.
    InstanceId "eng_" "engine instance";
    /// One start of the serving process of the proxy; a write addressed to another one is refused.
    RouterBoot "rtr_" "proxy process";
}

/// A boot of the host (`/proc/sys/kernel/random/boot_id`): monotonic clocks of two boots cannot be compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Debug, Default)]
pub struct BootId(#[serde(with = "crate::array")] pub [u8; 16]);

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
pub struct Digest(#[serde(with = "crate::array")] pub [u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let mut out = [0; 32];
        hex::decode_to_slice(text, &mut out).map_err(|_| BadId {
            kind: "digest",
            prefix: "",
            text: text.chars().take(80).collect(),
        })?;
        Ok(Self(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_text() {
        let id = DeploymentId([7; 16]);
        assert_eq!(id.to_string().parse::<DeploymentId>(), Ok(id));
        assert!("rel_01j0000000000000000000000".parse::<DeploymentId>().is_err());
        assert!("dep_".parse::<DeploymentId>().is_err());
    }
}
