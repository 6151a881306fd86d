//! `volumes` of a service: `"NAME:/target:ro"`, `"./folder:/target"`, or mappings.

use super::{Mount, Origin};
use crate::tree::Node;

/// What makes two entries the same one for a merge: where they are mounted.
pub(crate) fn identity(node: &Node) -> Option<String> {
    read(node).ok().map(|mount| mount.target)
}

/// An entry of `volumes`; the error says what is wrong without repeating it.
pub(crate) fn read(node: &Node) -> Result<Mount, &'static str> {
    let mount = match node.as_str() {
        Some(text) => short(text)?,
        None => long(node)?,
    };
    if !mount.target.starts_with('/') && !windows(&mount.target) {
        return Err("the path inside of the container is not absolute");
    }
    Ok(mount)
}

fn short(text: &str) -> Result<Mount, &'static str> {
    let mut parts = split(text);
    if parts.iter().take(2).any(|part| part.is_empty()) {
        return Err("a part of it is empty");
    }
    let options = if parts.len() == 3 { parts.pop().unwrap_or_default() } else { "" };
    let read_only = options.split(',').any(|option| option == "ro");
    match parts[..] {
        [target] => Ok(Mount { from: Origin::Anonymous, source: String::new(), target: trimmed(target), read_only }),
        [source, target] => {
            let from = if on_the_host(source) { Origin::Host } else { Origin::Volume };
            Ok(Mount { from, source: source.to_owned(), target: trimmed(target), read_only })
        }
        _ => Err("it has more than three parts; expected SOURCE:TARGET:MODE"),
    }
}

/// The parts between colons; that of a drive of Windows is none.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let skip = if windows(rest) { 2 } else { 0 };
        match rest.get(skip..).and_then(|after| after.find(':')) {
            Some(at) => {
                parts.push(&rest[..skip + at]);
                rest = &rest[skip + at + 1..];
            }
            None => {
                parts.push(rest);
                return parts;
            }
        }
    }
}

fn windows(text: &str) -> bool {
    matches!(text.as_bytes(), [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic())
        // `a:/b` is a volume with one letter, as it is for Compose on Linux.
        && text.as_bytes().get(2) == Some(&b'\\')
}

fn on_the_host(source: &str) -> bool {
    source.starts_with(['.', '/', '~']) || windows(source)
}

fn trimmed(target: &str) -> String {
    if target.len() > 1 { target.trim_end_matches('/').to_owned() } else { target.to_owned() }
}

fn long(node: &Node) -> Result<Mount, &'static str> {
    let source = node.text_of("source").unwrap_or_default().to_owned();
    let target = trimmed(node.text_of("target").ok_or("\"target\", the path inside of the container, is missing")?);
    let from = match node.text_of("type").unwrap_or("volume") {
        "volume" if source.is_empty() => Origin::Anonymous,
        "volume" => Origin::Volume,
        "bind" if source.is_empty() => return Err("\"source\", the path on the host, is missing"),
        "bind" => Origin::Host,
        "tmpfs" => Origin::Memory,
        "npipe" | "cluster" | "image" => Origin::Other,
        _ => return Err("its type is not volume, bind, tmpfs, npipe, image or cluster"),
    };
    Ok(Mount { from, source, target, read_only: node.get("read_only").is_some_and(Node::is_true) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::At;

    #[test]
    fn short_forms() {
        let of = |text: &str| read(&Node::text(At::default(), text));
        for (text, from, source, target, read_only) in [
            ("/data", Origin::Anonymous, "", "/data", false),
            ("data:/data", Origin::Volume, "data", "/data", false),
            ("./a:/b:ro,z", Origin::Host, "./a", "/b", true),
            ("~/a:/b/", Origin::Host, "~/a", "/b", false),
            ("C:\\a:/b", Origin::Host, "C:\\a", "/b", false),
            ("a:/b", Origin::Volume, "a", "/b", false),
        ] {
            let expected = Mount { from, source: source.to_owned(), target: target.to_owned(), read_only };
            assert_eq!(of(text), Ok(expected), "{text}");
        }
        for bad in ["", "data", ":/data", "a:", "a:b", "a:/b:ro:x", "a::ro"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
