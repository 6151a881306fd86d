//! The age identities of the person, where SOPS looks for them.

use std::ffi::OsString;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use age::IdentityFile;
use age::armor::ArmoredReader;
use zeroize::Zeroizing;

/// Holds identities.
const KEY: &str = "SOPS_AGE_KEY";
/// Names a file of identities.
const KEY_FILE: &str = "SOPS_AGE_KEY_FILE";
/// Where SOPS looks without any of these, below the folder of a person's configuration.
const USUAL: &str = "sops/age/keys.txt";
/// Bytes of a file of identities: thousands.
const MAX_BYTES: usize = 1024 * 1024;

/// What the environment says of them.
#[derive(Default)]
pub(in crate::cli) struct Places {
    /// Identities, with blanks or lines between.
    pub(super) key: Option<OsString>,
    /// A file of them, one a line.
    pub(super) file: Option<OsString>,
    /// The usual file of them.
    pub(super) usual: Option<PathBuf>,
}

impl Places {
    /// Those of this process.
    pub(in crate::cli) fn here() -> Self {
        let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let config = var("XDG_CONFIG_HOME").map(PathBuf::from);
        let config = config.or_else(|| var("HOME").map(|home| PathBuf::from(home).join(".config")));
        Self { key: var(KEY), file: var(KEY_FILE), usual: config.map(|folder| folder.join(USUAL)) }
    }
}

/// The identities that were found.
pub(super) struct Identities {
    all: Vec<Box<dyn age::Identity + Send + Sync>>,
    /// Where, for a person.
    pub(super) found: Vec<String>,
}

impl Identities {
    /// All that are found; each place that holds some counts.
    ///
    /// # Errors
    /// There are none, a file cannot be read, or holds what is no identity of age: one line that repeats nothing of it.
    pub(super) fn load(places: &Places) -> Result<Self, String> {
        let mut found = Self { all: Vec::new(), found: Vec::new() };
        if let Some(key) = &places.key {
            let text = key.to_str().ok_or_else(|| format!("{KEY} is no text"))?;
            let lines = Zeroizing::new(text.split_whitespace().collect::<Vec<_>>().join("\n"));
            found.take(&lines, KEY)?;
        }
        if let Some(file) = &places.file {
            let text = read(Path::new(file)).map_err(|error| format!("{KEY_FILE}: {error}"))?;
            found.take(&text, KEY_FILE)?;
        }
        if let Some(path) = &places.usual {
            let shown = path.display().to_string();
            match read(path) {
                Ok(text) => found.take(&text, &shown)?,
                Err(error) if error.kind() == ErrorKind::NotFound => (),
                Err(error) => return Err(format!("{shown}: {error}")),
            }
        }
        if found.all.is_empty() {
            let usual = places.usual.as_ref().map(|path| format!(", or put one into {}", path.display()));
            let usual = usual.unwrap_or_default();
            return Err(format!(
                "it is encrypted by SOPS for age, and there is no identity to open it: set {KEY} or {KEY_FILE}{usual}"
            ));
        }
        Ok(found)
    }

    fn take(&mut self, text: &str, place: &str) -> Result<(), String> {
        let file = IdentityFile::from_buffer(text.as_bytes());
        let identities = file.ok().and_then(|file| file.into_identities().ok());
        let identities = identities.ok_or_else(|| {
            format!("{place} holds what is no identity of age (AGE-SECRET-KEY-1…); others are left to `sops decrypt`")
        })?;
        if !identities.is_empty() {
            self.found.push(place.to_owned());
            self.all.extend(identities);
        }
        Ok(())
    }

    /// What was sealed for one of them; `None` where it was not.
    pub(super) fn open(&self, armored: &str) -> Option<Zeroizing<Vec<u8>>> {
        let sealed = age::Decryptor::new(ArmoredReader::new(armored.as_bytes())).ok()?;
        let mut opened = sealed.decrypt(self.all.iter().map(|identity| &**identity as &dyn age::Identity)).ok()?;
        let mut bytes = Zeroizing::new(Vec::new());
        opened.read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
}

fn read(path: &Path) -> std::io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(path)?.take(MAX_BYTES as u64).read_to_string(&mut text)?;
    Ok(text)
}
