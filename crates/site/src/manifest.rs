//! What is written beside the files of a release, so that serving needs no look at them.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Version of the format; another one is refused.
pub const VERSION: u32 = 1;

/// All of a release but its bytes. Its files are in the order of their paths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`VERSION`].
    pub version: u32,
    /// Of paths, contents, rules and settings, hex; the same digest is the same site.
    pub digest: String,
    /// How it is served.
    pub settings: Settings,
    /// Text of `_redirects`, empty without one.
    pub redirects: String,
    /// Text of `_headers`, empty without one.
    pub headers: String,
    /// The files.
    pub files: Vec<File>,
}

/// How a site is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Name of the page that stands for its folder.
    pub index: String,
    /// Name of the page for what is not found, looked for from the folder of the request upwards.
    pub not_found: String,
    /// Path of the page that answers what is not found with 200, for single-page applications; `None`: 404.
    pub fallback: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { index: "index.html".into(), not_found: "404.html".into(), fallback: None }
    }
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Without a slash in front, as [`crate::path::judge`] lets it pass.
    pub path: String,
    /// Bytes.
    pub length: u64,
    /// SHA-256 of its bytes, hex.
    pub sha256: String,
    /// Whether its bytes are UTF-8.
    pub utf8: bool,
}

impl Manifest {
    /// Of files in any order.
    #[must_use]
    pub fn new(settings: Settings, redirects: String, headers: String, mut files: Vec<File>) -> Self {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let mut manifest = Self { version: VERSION, digest: String::new(), settings, redirects, headers, files };
        manifest.digest = manifest.content_digest();
        manifest
    }

    /// The digest that it must have. Each part is preceded by its length, so that no two sites read alike.
    #[must_use]
    pub fn content_digest(&self) -> String {
        let mut sum = Sha256::new();
        let mut part = |bytes: &[u8]| {
            sum.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            sum.update(bytes);
        };
        part(b"cutover-site 1");
        part(self.settings.index.as_bytes());
        part(self.settings.not_found.as_bytes());
        part(self.settings.fallback.as_deref().unwrap_or_default().as_bytes());
        part(self.redirects.as_bytes());
        part(self.headers.as_bytes());
        for file in &self.files {
            part(file.path.as_bytes());
            part(file.sha256.as_bytes());
        }
        hex::encode(sum.finalize())
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.length).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, sha256: &str) -> File {
        File { path: path.into(), length: 1, sha256: sha256.into(), utf8: true }
    }

    #[test]
    fn the_digest_is_that_of_all_that_is_served() {
        let digest = |settings: &Settings, redirects: &str, files: &[File]| {
            Manifest::new(settings.clone(), redirects.into(), String::new(), files.to_vec()).digest
        };
        let plain = Settings::default();
        let first = digest(&plain, "", &[file("a", "1"), file("b", "2")]);
        assert_eq!(first, digest(&plain, "", &[file("b", "2"), file("a", "1")]));
        let single = Settings { fallback: Some("index.html".into()), ..plain.clone() };
        let others = [
            digest(&plain, "", &[file("a", "1")]),
            digest(&plain, "", &[file("a", "2"), file("b", "2")]),
            digest(&plain, "/x /y", &[file("a", "1"), file("b", "2")]),
            digest(&single, "", &[file("a", "1"), file("b", "2")]),
            digest(&plain, "", &[file("a1", ""), file("b", "2")]),
        ];
        assert!(!others.contains(&first));
    }
}
