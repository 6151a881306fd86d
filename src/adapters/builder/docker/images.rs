//! Images that builds of ours have made, and the cache.
//!
//! An image is ours when it has our label *and* our tag: labels are inherited by whatever somebody builds on it, names are
//! not. It is removed by its names, never by force: with the last name it goes, unless a container uses it, and a name that
//! somebody else has given it keeps it.

use std::time::Duration;

use cutover_events::{DeploymentId, Digest, LogId};
use form_urlencoded::Serializer;
use http::Method;
use serde_json::{Value, json};

use super::super::{BuildError, BuiltImage, CacheUse};
use super::{DockerBuilder, labels};

/// What Docker says to whoever asks how much is used while somebody else does.
const COUNTS_ALREADY: &str = "already running";
/// How often it is asked again, a count, and after which pause: a full disk takes it seconds.
const COUNT_TRIES: u32 = 40;
const COUNT_PAUSE: Duration = Duration::from_millis(250);
/// What every tag that the engine gives begins with: that of a build, and that of a release.
const OURS: [&str; 2] = ["cutover/built-", "cutover/rel_"];
/// What Docker says where an image is in use.
const IN_USE: [&str; 3] = ["conflict", "is using", "being used"];

/// The tag of a build's image: one of its own for each deployment, so that a name never moves.
pub(super) fn tag_of(log: LogId, deployment: DeploymentId) -> String {
    format!("{}:{deployment}", repository(log))
}

fn repository(log: LogId) -> String {
    format!("{}{log}", OURS[0])
}

impl DockerBuilder {
    /// The image of an earlier build of the same content and arguments.
    pub(super) async fn made_before(&self, log: LogId, key: Digest) -> Result<Option<String>, BuildError> {
        let key = format!("{}={key}", labels::KEY);
        let images = self.list(log, Some(&key)).await?;
        Ok(images.into_iter().max_by_key(|image| image.deployment).map(|image| image.id))
    }

    pub(super) async fn images_of(&self, log: LogId) -> Result<Vec<BuiltImage>, BuildError> {
        self.list(log, None).await
    }

    async fn list(&self, log: LogId, label: Option<&str>) -> Result<Vec<BuiltImage>, BuildError> {
        let own = format!("{}={log}", labels::LOG);
        let wanted: Vec<&str> = [own.as_str()].into_iter().chain(label).collect();
        let path = path("/images/json", &[("filters", &json!({ "label": wanted }).to_string())]);
        let Some(Value::Array(all)) = self.daemon.ask(Method::GET, &path).await? else {
            return Err(BuildError::Unavailable("it gives no list of images".to_owned()));
        };
        Ok(all.iter().filter_map(|image| read(log, image)).collect())
    }

    /// Removes our names of an image.
    pub(super) async fn remove_names(&self, log: LogId, image: &BuiltImage) -> Result<bool, BuildError> {
        let inspect = format!("/images/{}/json", image.id);
        let Some(found) = self.daemon.ask(Method::GET, &inspect).await? else { return Ok(true) };
        let names: Vec<&str> = found["RepoTags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let build = repository(log);
        let own =
            |name: &&str| name.starts_with(OURS[1]) || name.rsplit_once(':').is_some_and(|(name, _)| name == build);
        // That of the build goes last: while it is there, the image is found again.
        let (first, last): (Vec<&str>, Vec<&str>) =
            names.into_iter().filter(own).partition(|name| name.starts_with(OURS[1]));
        for name in first.into_iter().chain(last) {
            match self.daemon.ask(Method::DELETE, &format!("/images/{name}")).await {
                Ok(_) => {}
                Err(BuildError::Refused(said)) if IN_USE.iter().any(|word| said.contains(word)) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(self.daemon.ask(Method::GET, &inspect).await?.is_none())
    }

    pub(super) async fn cache_use(&self) -> Result<CacheUse, BuildError> {
        let mut tries = 0;
        let usage = loop {
            match self.daemon.ask(Method::GET, "/system/df").await {
                // Docker counts for one at a time, and refuses everybody else meanwhile.
                Err(BuildError::Unavailable(why)) if why.contains(COUNTS_ALREADY) && tries < COUNT_TRIES => tries += 1,
                answer => break answer?.unwrap_or(Value::Null),
            }
            tokio::time::sleep(COUNT_PAUSE).await;
        };
        let entries = usage["BuildCache"].as_array().cloned().unwrap_or_default();
        let bytes = entries.iter().filter(|entry| entry["Shared"] != true).filter_map(|entry| entry["Size"].as_u64());
        Ok(CacheUse { entries: entries.len() as u64, bytes: bytes.sum() })
    }

    pub(super) async fn drop_cache(&self, unused: Duration) -> Result<u64, BuildError> {
        let filters = json!({ "until": [format!("{}s", unused.as_secs())] }).to_string();
        let pruned = self.daemon.ask(Method::POST, &path("/build/prune", &[("filters", &filters)])).await?;
        Ok(pruned.and_then(|pruned| pruned["SpaceReclaimed"].as_u64()).unwrap_or(0))
    }
}

/// A path with a query.
pub(super) fn path(path: &str, query: &[(&str, &str)]) -> String {
    let mut out = Serializer::new(format!("{path}?"));
    for (name, value) in query {
        out.append_pair(name, value);
    }
    out.finish()
}

/// An image of the list, where it is ours.
fn read(log: LogId, image: &Value) -> Option<BuiltImage> {
    let names = image["RepoTags"].as_array()?.iter().filter_map(Value::as_str);
    let build = repository(log);
    let of_build = |name: &str| {
        let (name, tag) = name.rsplit_once(':')?;
        (name == build).then(|| tag.parse().ok()).flatten()
    };
    let deployment = names.filter_map(of_build).max()?;
    Some(BuiltImage {
        id: image["Id"].as_str()?.to_owned(),
        workload: image["Labels"][labels::WORKLOAD].as_str()?.parse().ok()?,
        deployment,
        size: image["Size"].as_u64().unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use cutover_events::WorkloadId;

    use super::*;

    #[test]
    fn only_what_has_our_label_and_our_tag_is_ours() {
        let (log, workload, deployment) = (LogId([1; 16]), WorkloadId([2; 16]), DeploymentId([3; 16]));
        let image =
            |names: &[&str], labels: Value| json!({ "Id": "sha256:1", "RepoTags": names, "Labels": labels, "Size": 5 });
        let own = json!({ labels::LOG: log.to_string(), labels::WORKLOAD: workload.to_string() });
        let tag = tag_of(log, deployment);
        assert_eq!(tag, tag.to_lowercase());
        let expected = BuiltImage { id: "sha256:1".to_owned(), workload, deployment, size: 5 };
        assert_eq!(read(log, &image(&["theirs:1", &tag], own.clone())), Some(expected));
        // Built on an image of ours, which gave it its labels.
        assert_eq!(read(log, &image(&["theirs:1"], own.clone())), None);
        assert_eq!(read(log, &json!({ "Id": "sha256:1", "RepoTags": null, "Labels": own })), None);
        assert_eq!(read(LogId([9; 16]), &image(&[&tag], own)), None);
    }
}
