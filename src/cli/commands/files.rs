//! Workload files: read, judged, shown.

use std::io::Read;
use std::path::{Path, PathBuf};

use cutover_domain::file::strict::BadFile;
use cutover_domain::file::{self, Canonical, Declared, MAX_FILE_BYTES};
use serde_json::json;

use super::{Session, compose};
use crate::api::request::workload_name;
use crate::api::views::{ApplyAsk, ApplyMode, DeployAsk, ForetoldView, PlanView, WorkloadBody};
use crate::cli::client::Call;
use crate::cli::exit::{Exit, Failure};
use crate::cli::grammar::{Files, Plan};
use crate::cli::output::Output;
use crate::cli::{render, values};

/// Workload files of one folder: hundreds of projects, and a wrong folder is noticed.
const MAX_FILES: usize = 256;

/// All workloads of a file, of the `*.toml` files of a folder in the order of names, or of stdin. What is relative in a
/// source is meant from the folder of its file, and of stdin from the one where the command runs.
///
/// # Errors
/// A file that cannot be read is a usage error (2), one that is not understood is refused (15).
pub(super) fn read(path: &Path) -> Result<Vec<Declared>, Failure> {
    if path.as_os_str() == "-" {
        let bytes = bounded("stdin", &mut std::io::stdin().lock())?;
        let all = file::read("stdin", &bytes).map_err(refused)?;
        return below(all, Path::new("."));
    }
    if !path.is_dir() {
        return one(path);
    }
    let files = toml_files(path)?;
    let mut all: Vec<Declared> = Vec::new();
    for file in files {
        for declared in one(&file)? {
            if let Some(clash) = clash(&all, &declared) {
                return Err(Failure::new(Exit::Refused, format!("{}: {clash}", file.display())));
            }
            all.push(declared);
        }
    }
    Ok(all)
}

fn toml_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let shown = folder.display();
    let unreadable = |e: std::io::Error| Failure::usage(format!("{shown}: the folder cannot be read: {e}"));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    match files.len() {
        0 => Err(Failure::usage(format!("{shown}: there is no *.toml file in this folder"))),
        1..=MAX_FILES => Ok(files),
        many => Err(Failure::usage(format!("{shown}: {many} *.toml files; at most {MAX_FILES} are applied at once"))),
    }
}

/// What two files of a folder may not both say.
fn clash(all: &[Declared], new: &Declared) -> Option<String> {
    if all.iter().any(|known| known.full_name() == new.full_name()) {
        return Some(format!("the name {} is declared in another file of this folder too", new.full_name()));
    }
    let taken = |route: &&cutover_events::workload::Route| {
        let same = |other: &cutover_events::workload::Route| other.host == route.host && other.path == route.path;
        all.iter().any(|known| known.spec.routes.iter().any(same))
    };
    let route = new.spec.routes.iter().find(taken)?;
    Some(format!("{}{} is routed to another workload of this folder too", route.host, route.path))
}

fn one(path: &Path) -> Result<Vec<Declared>, Failure> {
    let name = path.display().to_string();
    let mut reader =
        std::fs::File::open(path).map_err(|e| Failure::usage(format!("{name}: the file cannot be read: {e}")))?;
    let bytes = bounded(&name, &mut reader)?;
    let all = file::read(&name, &bytes).map_err(refused)?;
    below(all, path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// The workloads with the places of their sources as they are seen from everywhere.
fn below(all: Vec<Declared>, folder: &Path) -> Result<Vec<Declared>, Failure> {
    let shown = folder.display();
    let whole = std::path::absolute(folder);
    let whole = whole.map_err(|e| Failure::usage(format!("{shown}: the folder cannot be named in full: {e}")))?;
    let Some(whole) = whole.to_str() else {
        return Err(Failure::usage(format!("{shown}: the name of the folder is not UTF-8; move the file elsewhere")));
    };
    all.into_iter().map(|one| compose::stack_here(one.below(whole))).collect()
}

/// The bytes of a reader, up to one more than a workload file may have: what is larger is refused, not read.
pub(super) fn bounded(name: &str, reader: &mut dyn Read) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = reader.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|e| Failure::usage(format!("{name}: the file cannot be read: {e}")))?;
    Ok(bytes)
}

pub(super) fn refused(bad: BadFile) -> Failure {
    Failure { excerpt: bad.excerpt.clone(), ..Failure::new(Exit::Refused, bad.to_string()) }
}

/// The canonical form as the API takes it.
///
/// # Errors
/// Only when both forms differ, which a test excludes.
pub(super) fn ask(declared: &[Declared], mode: ApplyMode) -> Result<ApplyAsk, Failure> {
    let body = |one: &Declared| -> serde_json::Result<WorkloadBody> {
        serde_json::from_value(serde_json::to_value(Canonical::from(one))?)
    };
    let workloads = declared.iter().map(body).collect::<Result<Vec<_>, _>>();
    let workloads = workloads.map_err(|e| Failure::new(Exit::Other, format!("the canonical form is wrong: {e}")))?;
    Ok(ApplyAsk { workloads, mode })
}

/// `check`: judges without an engine.
pub(super) fn check(files: &Files) -> Result<Exit, Failure> {
    if files.file.extension().is_some_and(|ending| ending == "yml" || ending == "yaml") {
        return compose::check(files);
    }
    let declared = read(&files.file)?;
    let mut output = Output::new();
    for one in &declared {
        let warnings: Vec<String> = one.warnings.iter().cloned().chain(one.asked_of_the_server()).collect();
        if files.json.json {
            output.json(&json!({"workload": one.full_name(), "ok": true, "warnings": warnings}))?;
        } else {
            output.line(&format!("{}: ok", one.full_name()))?;
            warnings.iter().try_for_each(|warning| output.line(&format!("  warning: {warning}")))?;
        }
    }
    output.flush()?;
    Ok(Exit::Ok)
}

/// `plan`: what an apply would do, or a deployment of a workload that is known.
pub(super) async fn plan(session: &mut Session, plan: &Plan) -> Result<Exit, Failure> {
    let name = plan.what.to_str().filter(|text| *text != "-" && !plan.what.exists() && workload_name(text).is_ok());
    if let Some(name) = name {
        return foretell(session, name, plan).await;
    }
    if plan.image.is_some() {
        return Err(Failure::usage("--image goes with the name of a workload, not with a file"));
    }
    let declared = read(&plan.what)?;
    let call = Call::post("/api/v1/plan", &ask(&declared, ApplyMode::Deploy)?)?;
    let view: PlanView = session.client.ask(call).await?;
    if plan.json.json {
        session.output.json(&view)?;
    } else {
        let text = render::plan::plan(&view, session.output.paint());
        session.output.text(&text)?;
    }
    Ok(Exit::Ok)
}

async fn foretell(session: &mut Session, name: &str, plan: &Plan) -> Result<Exit, Failure> {
    let image = plan.image.as_deref().map(values::image).transpose()?;
    let ask = DeployAsk { image, ..DeployAsk::default() };
    let call = Call::post(format!("/api/v1/workloads/{}/plan", values::workload(name)?), &ask)?;
    let view: ForetoldView = session.client.ask(call).await?;
    if plan.json.json {
        session.output.json(&view)?;
    } else {
        session.output.text(&render::plan::foretold(&view, plan.image.as_deref(), session.output.paint()))?;
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The API's form and the domain's form of the same JSON are one.
    #[test]
    fn the_canonical_form_survives_the_api() {
        let text = r#"
            project = "shop"
            [workloads.web]
            image = { ref = "ghcr.io/acme/shop:{sha}", pull = "always", platform = "linux/amd64" }
            deploy = "github:acme/shop@main"
            host = ["shop.example.com", "www.example.com"]
            port = 8080
            health = { http = "/healthz", port = 8080 }
            command = ["serve", "--fast"]
            replicas = 2
            memory = "64MiB"
            env = { A = "1", B = "two" }
            [workloads.web.policy]
            drain = "30s"
        "#;
        let declared = file::read("shop.toml", text.as_bytes()).unwrap();
        let ask = ask(&declared, ApplyMode::Deploy).unwrap();
        let sent = serde_json::to_value(&ask.workloads[0]).unwrap();
        let read: Canonical = serde_json::from_value(sent).unwrap();
        let back = Declared::try_from(read).unwrap();
        assert_eq!(back, declared[0]);
    }
}
