//! `secret …`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::Session;
use super::state::tell;
use crate::api::views::{RekeyedView, SecretValue, SecretView, SecretsAsk, SecretsSetView, SecretsView};
use crate::cli::client::Call;
use crate::cli::exit::{Exit, Failure};
use crate::cli::render;
use crate::cli::render::screen::Screen;
use crate::cli::secret::{self, Import, Named, Rekey, Secret, Set, Told};
use crate::cli::values;

/// Bytes of a file with values: hundreds of them.
const MAX_FILE_BYTES: usize = 1024 * 1024;

pub(super) async fn secret(session: &mut Session, command: Secret) -> Result<Exit, Failure> {
    match command {
        Secret::Set(set) => self::set(session, set).await,
        Secret::List(list) => {
            let of = list.project.map(|project| format!("?project={project}")).unwrap_or_default();
            let call = Call::get(format!("/api/v1/secrets{of}"));
            tell::<SecretsView>(session, call, list.json, render::secrets::all).await?;
            Ok(Exit::Ok)
        }
        Secret::Versions(named) => {
            let (path, _) = path(session, &named).await?;
            tell::<SecretView>(session, Call::get(path), named.json, render::secrets::versions).await?;
            Ok(Exit::Ok)
        }
        Secret::Remove(named) => {
            let (path, full_name) = path(session, &named).await?;
            session.client.ask::<()>(Call::delete(path)).await?;
            session.output.line(&format!("secret {full_name} removed, with all of its versions"))?;
            Ok(Exit::Ok)
        }
        Secret::Rekey(rekey) => self::rekey(session, rekey).await,
        Secret::Import(import) => self::import(session, import).await,
    }
}

async fn set(session: &mut Session, set: Set) -> Result<Exit, Failure> {
    if !set.rest.is_empty() {
        return Err(secret::on_the_command_line());
    }
    let (project, name) = secret::named(&set.name)?;
    let project = project_of(session, project).await?;
    let value = secret::read(&format!("{project}/{name}"), &set.from).await?;
    record(session, &project, BTreeMap::from([(name, sent(&value))]), &set.told).await
}

/// `import --docker`: a secret for each registry that Docker has a login for.
async fn import_logins(session: &mut Session, import: Import) -> Result<Exit, Failure> {
    let named = import.file.map(|project| values::project(&project.to_string_lossy())).transpose();
    let named = named.map_err(|why| Failure::usage(format!("--docker takes the name of a project: {why}")))?;
    let project = project_of(session, import.project.or(named)).await?;
    let path = secret::docker::file()?;
    let aside = |text: &str| session.output.aside(text);
    let wanted = |registry: &str| import.only.is_empty() || import.only.iter().any(|only| only == registry);
    let found = secret::docker::logins(&path, (&wanted, &aside)).await?;
    let missing = import.only.iter().find(|only| !found.iter().any(|login| login.registry == **only));
    if let Some(missing) = missing {
        return Err(Failure::new(Exit::Refused, format!("{}: no login for {missing}", path.display())));
    }
    if found.is_empty() {
        let text = format!("{}: no login: `docker login REGISTRY` makes one", path.display());
        return Err(Failure::new(Exit::Refused, text));
    }
    if !import.told.json.json {
        found.iter().for_each(|login| aside(&format!("{}: by {}", login.registry, login.from)));
    }
    let values = found.iter().map(|login| (login.name(), sent(&login.value))).collect();
    let ask = SecretsAsk { values, deploy: import.told.deploy };
    let call = Call::post(format!("/api/v1/projects/{project}/secrets"), &ask)?;
    let registries = found.iter().map(|login| (login.name(), login.registry.clone())).collect();
    let told = |view: &SecretsSetView, screen: &Screen| render::secrets::logins(view, &registries, screen);
    self::tell::<SecretsSetView>(session, call, import.told.json, told).await?;
    Ok(Exit::Ok)
}

async fn import(session: &mut Session, import: Import) -> Result<Exit, Failure> {
    if import.docker {
        return import_logins(session, import).await;
    }
    let file = import.file.clone().unwrap_or_default();
    let project = project_of(session, import.project).await?;
    let bytes = secret::read_file(&file, MAX_FILE_BYTES)?;
    let bad = |why: String| Failure::new(Exit::Refused, format!("{}: {why}", file.display()));
    let text = std::str::from_utf8(&bytes).map_err(|_| bad("this is no text".into()))?;
    let mut found = secret::values(text).map_err(bad)?;
    if let Some(missing) = import.only.iter().find(|name| !found.contains_key(*name)) {
        return Err(bad(format!("nothing gives {missing} a value")));
    }
    found.retain(|name, value| !value.is_empty() && (import.only.is_empty() || import.only.contains(name)));
    if found.is_empty() {
        return Err(bad("nothing gives a name a value".into()));
    }
    let values = found.into_iter().map(|(name, value)| (name, sent(&value))).collect();
    record(session, &project, values, &import.told).await
}

async fn record(
    session: &mut Session,
    project: &str,
    values: BTreeMap<String, SecretValue>,
    told: &Told,
) -> Result<Exit, Failure> {
    let ask = SecretsAsk { values, deploy: told.deploy };
    let call = Call::post(format!("/api/v1/projects/{project}/secrets"), &ask)?;
    tell::<SecretsSetView>(session, call, told.json, render::secrets::set).await?;
    Ok(Exit::Ok)
}

async fn rekey(session: &mut Session, rekey: Rekey) -> Result<Exit, Failure> {
    let projects = match rekey.project {
        Some(project) => vec![project],
        None => {
            let all: SecretsView = session.client.ask(Call::get("/api/v1/secrets")).await?;
            let mut projects: Vec<_> = all.secrets.into_iter().map(|secret| secret.project).collect();
            projects.dedup();
            projects
        }
    };
    if projects.is_empty() && !rekey.json.json {
        session.output.line("there are no secrets yet")?;
    }
    for project in projects {
        let call = Call { method: http::Method::POST, ..Call::get(format!("/api/v1/projects/{project}/rekey")) };
        let told = |view: &RekeyedView, _: &Screen| render::secrets::rekeyed(view);
        tell::<RekeyedView>(session, call, rekey.json, told).await?;
    }
    Ok(Exit::Ok)
}

/// Text where it is one, so that it can be read on the wire of a test; bytes otherwise.
fn sent(value: &[u8]) -> SecretValue {
    match std::str::from_utf8(value) {
        Ok(text) => SecretValue::Text(text.to_owned()),
        Err(_) => SecretValue::Bytes { base64: BASE64_STANDARD.encode(value) },
    }
}

/// The path of a secret, and its full name.
async fn path(session: &Session, named: &Named) -> Result<(String, String), Failure> {
    let (project, name) = secret::named(&named.name)?;
    let project = project_of(session, project).await?;
    Ok((format!("/api/v1/projects/{project}/secrets/{name}"), format!("{project}/{name}")))
}

/// The project that is meant where none is written: the only one that there is.
async fn project_of(session: &Session, written: Option<String>) -> Result<String, Failure> {
    if let Some(project) = written {
        return Ok(project);
    }
    let all: SecretsView = session.client.ask(Call::get("/api/v1/secrets")).await?;
    match all.projects.as_slice() {
        [] => Ok("default".to_owned()),
        [only] => Ok(only.clone()),
        several => {
            let names = several.join(", ");
            let text = format!("a secret belongs to a project, and there are several ({names}): write project/name");
            Err(Failure::new(Exit::UnknownName, text))
        }
    }
}
