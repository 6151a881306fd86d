//! The configuration: defaults, then the file, then the environment, then the command line.
//!
//! [`keys`] is the one table of keys: it reads, prints and documents every one of them.

mod keys;
mod parts;

use std::fmt::{self, Write};
use std::path::Path;

use cutover_domain::file::strict::{self, BadFile, Entry, Fault, Section, Words, nearest, quoted};

use keys::{KEYS, Key, Value};
pub use parts::{Api, Config, Docker, GitAddresses, Hooks, Limits, Log, LogFormat, Proxy, under_systemd};

/// Bytes of a configuration file: hundreds of times of what all keys take.
const MAX_FILE_BYTES: usize = 256 * 1024;
/// Every variable of the environment that is a key begins so; sections and keys are joined by two underscores.
pub const ENV_PREFIX: &str = "CUTOVER_";
/// Elements of a list.
const MAX_ELEMENTS: usize = 64;

/// A configuration that is refused. Displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum BadConfig {
    /// The file is not there, or not for us to read.
    #[error("{file}: the configuration file cannot be read: {error}")]
    Unreadable {
        /// As it was named.
        file: String,
        /// Why.
        error: std::io::Error,
    },
    /// The file says something that is not understood.
    #[error("{0}")]
    File(BadFile),
    /// A variable of the environment or a flag says something that is not understood.
    #[error("{place}: {text}")]
    Value {
        /// The variable, or the key as the command line names it.
        place: String,
        /// What is wrong, and what is allowed.
        text: String,
    },
}

impl Config {
    /// The configuration of this process: the defaults of its user, `file`, the environment, then `flags` (dotted keys
    /// with their values).
    ///
    /// # Errors
    /// Anything that is not understood completely.
    pub fn of_process(file: Option<&Path>, flags: &[(&str, String)]) -> Result<Self, BadConfig> {
        let root = rustix::process::geteuid().is_root();
        #[expect(clippy::disallowed_methods, reason = "the environment is read here and nowhere else")]
        let home = |name: &str| std::env::var(name).ok();
        let base = if root { Self::default() } else { Self::of_user(home("XDG_STATE_HOME"), home("HOME")) };
        base.with(file, std::env::vars_os().filter_map(text_pair), flags)
    }

    /// This configuration, changed by a file, an environment and flags, in this order.
    ///
    /// # Errors
    /// As [`Config::of_process`].
    pub fn with(
        mut self,
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: &[(&str, String)],
    ) -> Result<Self, BadConfig> {
        if let Some(path) = file {
            let name = path.display().to_string();
            let bytes = std::fs::read(path).map_err(|error| BadConfig::Unreadable { file: name.clone(), error })?;
            self = self.with_text(&name, &bytes).map_err(BadConfig::File)?;
        }
        for (variable, value) in environment {
            self.set_variable(&variable, &value)?;
        }
        for (path, value) in flags {
            let bad = |text| BadConfig::Value { place: (*path).to_owned(), text };
            let key = find(path).ok_or_else(|| bad("no key of the configuration".to_owned()))?;
            key.set_text(&mut self, value).map_err(bad)?;
        }
        Ok(self)
    }

    /// This configuration, changed by the text of a file.
    ///
    /// # Errors
    /// No TOML, an unknown key, a value that is not allowed.
    pub fn with_text(mut self, file: &str, bytes: &[u8]) -> Result<Self, BadFile> {
        strict::parse(file, bytes, MAX_FILE_BYTES, |top| self.read(&top))?;
        Ok(self)
    }

    fn read(&mut self, top: &Section<'_>) -> Result<(), Fault> {
        top.expect(Words { known: keys::TOP, later: &[] })?;
        for entry in top.entries() {
            let Some(words) = keys::of_section(&entry.name) else {
                self.read_key(&entry.name, &entry)?;
                continue;
            };
            let section = entry.section()?;
            section.expect(Words { known: words, later: &[] })?;
            for inner in section.entries() {
                self.read_key(&format!("{}.{}", entry.name, inner.name), &inner)?;
            }
        }
        Ok(())
    }

    fn read_key(&mut self, path: &str, entry: &Entry<'_>) -> Result<(), Fault> {
        let Some(key) = find(path) else { return Err(entry.key_fault("unknown key")) };
        match &key.value {
            Value::Text { set, .. } => set(self, entry.string()?),
            Value::Number { low, high, set, .. } => {
                set(self, entry.integer(*low, *high)?);
                Ok(())
            }
            Value::List { set, .. } => {
                let elements = entry.one_or_more(MAX_ELEMENTS)?;
                let texts = elements.iter().map(Entry::string).collect::<Result<Vec<_>, _>>()?;
                set(self, &texts)
            }
        }
        .map_err(|text| entry.fault(text))
    }

    /// Variables of other programs, and those of ours that are no keys (without two underscores), are left alone.
    fn set_variable(&mut self, variable: &str, value: &str) -> Result<(), BadConfig> {
        let Some(rest) = variable.strip_prefix(ENV_PREFIX) else { return Ok(()) };
        let path = rest.to_ascii_lowercase().replacen("__", ".", 1);
        let bad = |text| BadConfig::Value { place: format!("environment variable {variable}"), text };
        match find(&path) {
            Some(key) => key.set_text(self, value).map_err(bad),
            None if path.contains('.') => Err(bad(unknown_variable(&path))),
            None => Ok(()),
        }
    }
}

/// A pair of texts; a variable that is not UTF-8 is none of ours, and a value that is not is refused by its key.
fn text_pair((name, value): (std::ffi::OsString, std::ffi::OsString)) -> Option<(String, String)> {
    Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
}

fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

fn unknown_variable(path: &str) -> String {
    let hint = nearest(path, KEYS.iter().map(|key| key.path));
    let known = KEYS.iter().map(|key| variable_of(key.path)).collect::<Vec<_>>().join(", ");
    match hint {
        Some(near) => format!("no key of the configuration; did you mean {}?", variable_of(near)),
        None => format!("no key of the configuration; known are {known}"),
    }
}

fn variable_of(path: &str) -> String {
    format!("{ENV_PREFIX}{}", path.replace('.', "__").to_ascii_uppercase())
}

impl Key {
    /// Sets the key from one text; the elements of a list are separated by commas.
    fn set_text(&self, config: &mut Config, text: &str) -> Result<(), String> {
        match &self.value {
            Value::Text { set, .. } => set(config, text),
            Value::Number { low, high, set, .. } => {
                let number = text.parse::<i64>().ok().filter(|number| (*low..=*high).contains(number));
                let bad = || format!("{} is not a whole number from {low} to {high}", quoted(text));
                set(config, number.ok_or_else(bad)?);
                Ok(())
            }
            Value::List { set, .. } => {
                set(config, &text.split(',').map(str::trim).filter(|element| !element.is_empty()).collect::<Vec<_>>())
            }
        }
    }

    fn shown(&self, config: &Config) -> String {
        let text = |text: &str| toml_edit::Value::from(text).to_string();
        match &self.value {
            Value::Text { get, .. } => text(&get(config)),
            Value::Number { get, .. } => get(config).to_string(),
            Value::List { get, .. } => {
                let elements: Vec<String> = get(config).iter().map(|element| text(element)).collect();
                format!("[{}]", elements.join(", "))
            }
        }
    }
}

/// The configuration as a file that means the same.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_keys(f, self, |_, _| Ok(()))
    }
}

/// The text of `config.example.toml`: every key at its default, with its unit and its reason.
#[must_use]
pub fn example() -> String {
    let head = "# Configuration of cutover. Every key is here at its default (as root; other users: see data_dir and\n\
                # [proxy] listen); without a file these hold. A file is overruled by the environment\n\
                # (CUTOVER_SECTION__KEY), the environment by the command line. Unknown keys are errors.\n\n";
    let mut out = head.to_owned();
    let written = write_keys(&mut out, &Config::default(), |out, key| {
        key.doc.lines().try_for_each(|line| writeln!(out, "# {line}"))
    });
    if written.is_err() {
        out.clear();
    }
    out
}

fn write_keys<W: Write>(out: &mut W, config: &Config, before: impl Fn(&mut W, &Key) -> fmt::Result) -> fmt::Result {
    let mut last = "";
    for key in KEYS {
        let (section, name) = key.path.split_once('.').unwrap_or(("", key.path));
        if section != last {
            writeln!(out, "\n[{section}]")?;
            last = section;
        }
        before(out, key)?;
        writeln!(out, "{name} = {}", key.shown(config))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
