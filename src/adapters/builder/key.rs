//! When a build need not be made again: the same content and the same arguments.

use cutover_events::Digest;
use sha2::Digest as _;

use super::Build;
use crate::adapters::source::context::Context;

/// What the key begins with; another form of it is another number.
const FORM: &[u8] = b"cutover build 1\0";

/// The same for builds that would make the same image, as far as that can be known before they are made: what base images
/// have become meanwhile is not in it, nor what a step fetches. `fresh` asks for that.
#[must_use]
pub fn key(build: &Build, context: &Context) -> Digest {
    let mut hash = sha2::Sha256::new();
    hash.update(FORM);
    hash.update(context.digest().0);
    let mut text = |part: &str| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    };
    text(&context.dockerfile().text());
    text(&build.target);
    text(&build.platform);
    text(&build.args.len().to_string());
    for (name, value) in &build.args {
        text(name);
        text(value);
    }
    let mut secrets: Vec<(&str, &str)> = build.secrets.iter().map(|s| (s.id.as_str(), s.version.as_str())).collect();
    secrets.sort_unstable();
    for (id, version) in secrets {
        text(id);
        text(version);
    }
    Digest(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use cutover_events::{DeploymentId, LogId, WorkloadId};
    use zeroize::Zeroizing;

    use super::super::{BuildSecret, BuilderKind};
    use super::*;
    use cutover_site::manifest::Settings;

    use crate::adapters::source::Content;
    use crate::adapters::source::context::{ContextLimits, Dockerfile, Packing, pack};

    fn build(content: &str) -> Build {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Dockerfile"), content).unwrap();
        let packing = Packing {
            file: Dockerfile::Of("Dockerfile".to_owned()),
            scratch: folder.path().to_owned(),
            limits: ContextLimits::default(),
            stop: Default::default(),
        };
        Build {
            log: LogId([0; 16]),
            workload: WorkloadId([0; 16]),
            full_name: String::new(),
            deployment: DeploymentId([0; 16]),
            content: Content::Context(pack(folder.path(), &packing).unwrap()),
            command: None,
            settings: Settings::default(),
            routed: Vec::new(),
            target: String::new(),
            args: BTreeMap::new(),
            secrets: Vec::new(),
            logins: Vec::new(),
            platform: String::new(),
            fresh: false,
            kind: BuilderKind::Auto,
            deadline: Duration::ZERO,
        }
    }

    fn key_of(build: &Build) -> Digest {
        key(build, build.context().unwrap())
    }

    fn pair(name: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(name.to_owned(), value.to_owned())])
    }

    fn secret(value: &[u8], version: &str) -> BuildSecret {
        BuildSecret { id: "s".to_owned(), value: Zeroizing::new(value.to_vec()), version: version.to_owned() }
    }

    #[test]
    fn all_that_makes_another_image_is_in_the_key() {
        let one = || build("FROM scratch");
        let same = Build {
            deployment: DeploymentId([1; 16]),
            workload: WorkloadId([1; 16]),
            kind: BuilderKind::Classic,
            ..one()
        };
        assert_eq!(key_of(&one()), key_of(&same));
        let others = [
            one(),
            build("FROM other"),
            Build { target: "web".to_owned(), ..one() },
            Build { platform: "linux/arm64".to_owned(), ..one() },
            Build { args: pair("a", "b"), ..one() },
            Build { args: pair("ab", ""), ..one() },
            Build { secrets: vec![secret(b"x", "1")], ..one() },
            Build { secrets: vec![secret(b"x", "2")], ..one() },
        ];
        let keys: std::collections::BTreeSet<_> = others.iter().map(key_of).collect();
        assert_eq!(keys.len(), others.len());
        let hidden = Build { secrets: vec![secret(b"other", "1")], ..one() };
        assert_eq!(key_of(&hidden), key_of(&others[6]), "the value itself is nowhere");
        assert!(!format!("{hidden:?}").contains("value"));
    }
}
