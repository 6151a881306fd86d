//! Values on the command line, and config files.

use super::{Expected, Inputs};
use crate::Result;

/// Usage: command line, a file named on it that cannot be read, config file.
const USAGE: &[i32] = &[2];
/// Name unknown.
const UNKNOWN: &[i32] = &[3];
/// Refused content: image reference or name not well formed.
const REFUSED: &[i32] = &[15];
/// Whether a value is a matter of usage or of content is the command's choice.
const ANY: &[i32] = &[2, 15];

/// A command line that is refused: exit codes, the words after `cutover`, what must be said.
type Line = (&'static [i32], &'static str, &'static [&'static str]);

/// Words in braces stand for what a table cannot hold.
const LINES: &[Line] = &[
    (USAGE, "frobnicate", &["frobnicate"]),
    (USAGE, "deploy", &[]),
    (USAGE, "deploy {web} --frobnicate", &["frobnicate"]),
    (USAGE, "deploy {web} --wait=soon", &["live", "end"]),
    (USAGE, "deploy {web} --timeout soon", &["timeout"]),
    (USAGE, "deploy {web} --timeout -1s", &["timeout"]),
    (USAGE, "events --after x", &["after"]),
    (USAGE, "events --after -1", &["after"]),
    (USAGE, "apply {nowhere}", &["nowhere.toml"]),
    (USAGE, "check {nowhere}", &["nowhere.toml"]),
    (USAGE, "apply /proc/self/mem", &["/proc/self/mem"]),
    (ANY, "apply {empty}", &["empty"]),
    (ANY, "check {empty}", &["empty"]),
    (UNKNOWN, "deploy nobody", &["nobody"]),
    (UNKNOWN, "status nobody", &["nobody"]),
    (UNKNOWN, "teardown nobody", &["nobody"]),
    (UNKNOWN, "timeline nobody", &["nobody"]),
    (UNKNOWN, "rollback nobody", &["nobody"]),
    (UNKNOWN, "restart nobody", &["nobody"]),
    (UNKNOWN, "hook remove nobody", &["nobody"]),
    (REFUSED, "deploy ../etc", &["name"]),
    (REFUSED, "deploy {spaced}", &["name"]),
    (REFUSED, "status {foreign}", &["name"]),
    (ANY, "deploy -rf", &[]),
    (ANY, "deploy {nothing}", &["name"]),
    (REFUSED, "teardown a/b/c", &["name"]),
    (REFUSED, "deploy {web} --image {nothing}", &["image"]),
    (REFUSED, "deploy {web} --image {spaced}", &["image"]),
    (REFUSED, "deploy {web} --image UPPER/case:1", &["image"]),
    (REFUSED, "deploy {web} --image a:../../etc", &["image"]),
    (ANY, "deploy {web} --image --privileged", &["image"]),
    (REFUSED, "deploy {web} --image a@sha256:short", &["image"]),
    (ANY, "deploy {web} --key {long}", &["key"]),
    (ANY, "deploy {web} --key {nothing}", &["key"]),
    (ANY, "deploy {web} --key {broken}", &["key"]),
    (UNKNOWN, "rollback {web} --to ../etc", &["../etc", "its releases"]),
    (ANY, "cancel not-an-id", &[]),
    (ANY, "resume dep_", &[]),
    (ANY, "wait dep_zzz", &[]),
    (ANY, "hook add ../x --provider github", &["name"]),
    (USAGE, "hook add x --provider nobody", &["github", "generic"]),
    (ANY, "explain ../etc", &[]),
];

pub(super) async fn try_all(inputs: &mut Inputs<'_>) -> Result {
    let stand = inputs.scene.stand;
    let empty = stand.folder().join("empty");
    std::fs::create_dir_all(&empty)?;
    let empty = empty.display().to_string();
    let nowhere = stand.folder().join("nowhere.toml").display().to_string();
    let web = stand.full_name("web");
    let long = "k".repeat(300);
    for (codes, words, says) in LINES {
        let args: Vec<&str> = words
            .split(' ')
            .map(|word| match word {
                "{web}" => web.as_str(),
                "{nowhere}" => &nowhere,
                "{empty}" => &empty,
                "{long}" => &long,
                "{nothing}" => "",
                "{spaced}" => "no such thing",
                "{broken}" => "a\nb",
                "{foreign}" => "w\u{e9}b",
                plain => plain,
            })
            .collect();
        inputs.command(words, &args, Expected { codes, says }).await?;
    }
    configs(inputs).await
}

async fn configs(inputs: &mut Inputs<'_>) -> Result {
    let stand = inputs.scene.stand;
    let cases: [(&str, &[u8], &[&str]); 8] = [
        ("not TOML", b"data_dir = ", &["bad-config.toml", "1"]),
        ("not UTF-8", b"data_dir = \"\xff\"", &["bad-config.toml", "utf-8"]),
        ("unknown key", b"dta_dir = \"x\"", &["bad-config.toml", "dta_dir", "data_dir"]),
        ("unknown table", b"[prxy]\nlisten = \"127.0.0.1:1\"", &["bad-config.toml", "prxy", "proxy"]),
        ("wrong type", b"data_dir = 5", &["bad-config.toml", "data_dir"]),
        ("no address", b"[api]\nlisten = \"here\"", &["bad-config.toml", "listen"]),
        ("port 70000", b"[proxy]\nlisten = \"127.0.0.1:70000\"", &["bad-config.toml", "listen"]),
        ("host with a space", b"[hooks]\nhost = \"a b\"", &["bad-config.toml", "host"]),
    ];
    let path = stand.folder().join("bad-config.toml");
    let name = path.display().to_string();
    for (case, content, says) in cases {
        std::fs::write(&path, content)?;
        for command in ["serve", "proxy", "status"] {
            let said = stand.ask_with(&path, &[command]).await?;
            inputs.said(&format!("config, {case}: {command}"), &said, Expected { codes: USAGE, says }).await?;
        }
    }
    std::fs::remove_file(&path)?;
    let said = stand.ask_with(&path, &["status"]).await?;
    inputs.said("config that is not there", &said, Expected { codes: USAGE, says: &[&name] }).await
}
