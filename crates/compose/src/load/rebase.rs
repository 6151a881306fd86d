//! Paths of a file in another folder, as seen from the folder of the stack.

use super::joined;
use crate::tree::{Node, Value};

/// Paths of a service that was written in a folder.
pub(super) fn service(service: &mut Node, folder: &str) {
    if folder.is_empty() {
        return;
    }
    let Value::Map(map) = &mut service.value else { return };
    if let Some(build) = map.get_mut("build") {
        match &mut build.value {
            Value::Map(build) => {
                if let Some(context) = build.get_mut("context") {
                    local(context, folder);
                }
            }
            Value::Null | Value::Scalar(_) | Value::List(_) => local(build, folder),
        }
    }
    for key in ["env_file", "label_file"] {
        if let Some(files) = map.get_mut(key) {
            each(files, |one| file(one, folder));
        }
    }
    if let Some(volumes) = map.get_mut("volumes") {
        each(volumes, |volume| mount(volume, folder));
    }
}

/// A file, or the mapping that names one.
fn file(node: &mut Node, folder: &str) {
    match node.value {
        Value::Map(_) => under(node, "path", folder),
        Value::Null | Value::Scalar(_) | Value::List(_) => path(node, folder),
    }
}

/// The file of a secret or config that was written in a folder.
pub(super) fn resource(resource: &mut Node, folder: &str) {
    if !folder.is_empty() {
        under(resource, "file", folder);
    }
}

fn each(node: &mut Node, mut change: impl FnMut(&mut Node)) {
    match &mut node.value {
        Value::List(list) => list.iter_mut().for_each(change),
        Value::Null => {}
        Value::Scalar(_) | Value::Map(_) => change(node),
    }
}

fn under(node: &mut Node, key: &str, folder: &str) {
    if let Value::Map(map) = &mut node.value
        && let Some(file) = map.get_mut(key)
    {
        path(file, folder);
    }
}

fn path(node: &mut Node, folder: &str) {
    if let Value::Scalar(scalar) = &mut node.value {
        scalar.text = joined(folder, &scalar.text);
    }
}

/// A context of a build, unless it lies elsewhere than on this host.
fn local(node: &mut Node, folder: &str) {
    let remote = |text: &str| text.contains("://") || text.starts_with("git@") || text.starts_with("github.com/");
    if node.as_str().is_some_and(|text| !remote(text)) {
        path(node, folder);
    }
}

fn mount(volume: &mut Node, folder: &str) {
    let bind = volume.text_of("type") == Some("bind");
    match &mut volume.value {
        Value::Map(_) if bind => under(volume, "source", folder),
        Value::Scalar(scalar) if scalar.text.starts_with('.') => {
            let (source, rest) = scalar.text.split_once(':').unwrap_or((&scalar.text, ""));
            scalar.text = format!("./{}:{rest}", joined(folder, source));
        }
        Value::Null | Value::Scalar(_) | Value::List(_) | Value::Map(_) => {}
    }
}
