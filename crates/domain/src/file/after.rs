//! `after`: the workloads of the same project that must be ready first.

use super::strict::{Entry, Fault, quoted};
use super::{Declared, check};
use crate::order::{After, circle, told};

/// Workloads that one comes after: more is a mistake.
pub(super) const MAX_AFTER: usize = 32;

/// All names, in the order of the file.
pub(super) fn read(entry: &Entry<'_>, own: &str) -> Result<Vec<String>, Fault> {
    let mut names = Vec::new();
    for one in entry.elements(MAX_AFTER)? {
        let text = one.string()?;
        add(&mut names, text, own).map_err(|text| one.fault(text))?;
    }
    Ok(names)
}

/// All names of the canonical form.
pub(super) fn judged(given: &[String], own: &str) -> Result<Vec<String>, Fault> {
    if given.len() > MAX_AFTER {
        return Err(Fault::new("after", format!("{} names; at most {} are allowed", given.len(), MAX_AFTER)));
    }
    let mut names = Vec::with_capacity(given.len());
    for (index, text) in given.iter().enumerate() {
        add(&mut names, text, own).map_err(super::canonical::of_key(&format!("after[{index}]")))?;
    }
    Ok(names)
}

/// Adds one name; refuses the workload itself, one of another project, and one that is there already.
pub(super) fn add(names: &mut Vec<String>, text: &str, own: &str) -> Result<(), String> {
    if text.contains('/') {
        return Err(format!("{} names a project; after takes names of workloads of the same project", quoted(text)));
    }
    let name = check::name(text)?;
    if name == own {
        return Err(format!("{} cannot come after itself", quoted(text)));
    }
    if names.contains(&name) {
        return Err(format!("{} is named twice", quoted(text)));
    }
    names.push(name);
    Ok(())
}

/// Refuses workloads of one file that wait for one another in a circle: the name of one of them, and why.
pub(super) fn judge(declared: &[Declared]) -> Result<(), (String, String)> {
    let after: After<'_> = declared.iter().map(|one| (one.name.as_str(), &one.spec.after[..])).collect();
    match circle(&after) {
        Some(found) => Err((found[0].clone(), format!("a circle, so none of them would ever begin: {}", told(&found)))),
        None => Ok(()),
    }
}
