//! The judgement on a stack.

use std::collections::{BTreeMap, BTreeSet};

use crate::fault::{Code, Fault, Place};
use crate::load::{Beside, Loader, joined};
use crate::model::{self, Origin, Service};
use crate::rules::{self, Demand, Whole};
use crate::schema;
use crate::tree::Node;
use crate::variables::Variables;

/// Faults that are told of one stack: a person repairs the first ones first.
pub(crate) const MAX_FAULTS: usize = 50;
/// The variable that names the project, as with Compose.
const PROJECT: &str = "COMPOSE_PROJECT_NAME";
/// The variable that asks for profiles, as with Compose.
const PROFILES: &str = "COMPOSE_PROFILES";

/// What is judged.
pub struct Stack<'a> {
    /// The name of its project, which files may ask for; empty where it is not known.
    pub project: &'a str,
    /// The compose file and what is merged over it, in order, each with its name for messages.
    pub files: &'a [(&'a str, &'a [u8])],
    /// What lies beside it: `.env`, env files, what is extended and included.
    pub beside: &'a dyn Beside,
    /// What variables stand for; `.env` is added from `beside`.
    pub variables: Variables,
    /// Profiles that are asked for, besides those of `COMPOSE_PROFILES`.
    pub profiles: &'a [String],
}

/// What a stack comes to.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// What is wrong, in the order of the files; nothing means that Compose can be given it.
    pub faults: Vec<Fault>,
    /// What is probably not meant so, one line each.
    pub warnings: Vec<String>,
    /// Profiles that are asked for.
    pub profiles: Vec<String>,
    /// What a server would have to allow.
    pub demands: Vec<Demand>,
    /// The name that the file gives the stack.
    pub name: Option<String>,
    /// All services, by name.
    pub services: BTreeMap<String, Service>,
    /// Volumes that the stack declares and that are its own: the key, and the name where the file says one.
    pub volumes: BTreeMap<String, Option<String>>,
    /// The variables that it asks for, and that Compose has to be given where they are set.
    pub variables: BTreeSet<String>,
    /// The files beside it that were read or looked for: compose files, env files, what is extended or included.
    pub companions: BTreeSet<String>,
    /// What Compose needs in the stack's folder besides: what is mounted, given as a secret or config, or built from.
    pub paths: BTreeSet<String>,
}

impl Verdict {
    /// Whether the stack can be given to Compose.
    #[must_use]
    pub fn accepted(&self) -> bool {
        self.faults.is_empty()
    }

    /// The names of the services that are started.
    pub fn active(&self) -> impl Iterator<Item = &str> {
        self.services.values().filter(|service| service.active).map(|service| service.name.as_str())
    }
}

/// The variables of a stack, with those that `.env` beside it says.
#[must_use]
pub fn variables(stack: &Stack<'_>) -> Variables {
    let mut variables = stack.variables.clone();
    Loader::new(stack.beside).dotenv(&mut variables);
    variables
}

/// Judges a stack. Every input has a verdict, in time and memory that its size bounds.
#[must_use]
pub fn judge(stack: &Stack<'_>) -> Verdict {
    let mut loader = Loader::new(stack.beside);
    let mut variables = stack.variables.clone();
    loader.dotenv(&mut variables);
    if variables.get(PROJECT).is_none() && !stack.project.is_empty() {
        variables.dotenv.insert(PROJECT.to_owned(), stack.project.to_owned());
    }
    let mut verdict = Verdict::default();
    if let Some(tree) = loader.stack(stack.files, &variables) {
        whole(&mut loader, &tree, (stack, &variables), &mut verdict);
    }
    verdict.variables = loader.asked.names;
    // Compose knows it by itself.
    verdict.variables.remove(PROJECT);
    verdict.companions = loader.companions;
    verdict.faults = sorted(loader.faults, stack);
    verdict
}

fn whole(loader: &mut Loader<'_>, tree: &Node, (stack, variables): (&Stack<'_>, &Variables), verdict: &mut Verdict) {
    let before = loader.faults.len();
    let shape = schema::judge(&loader.files, tree, schema::TOP);
    loader.faults.extend(shape);
    if !rules::services(loader, tree) {
        return;
    }
    let mut profiles = stack.profiles.to_vec();
    let asked = variables.get(PROFILES).unwrap_or_default().split(',').map(str::trim);
    profiles.extend(asked.filter(|profile| !profile.is_empty()).map(str::to_owned));
    for (name, node) in tree.entries("services") {
        let service = model::service(loader, (name, node), variables, &profiles);
        verdict.services.insert(name.clone(), service);
    }
    let whole = Whole { tree, services: &verdict.services };
    // What does not have its shape has been told; what it would refer to is no use to anybody.
    if loader.faults.len() == before {
        verdict.demands = rules::judge(loader, &whole);
    }
    if let Some(name) = tree.get("name") {
        let text = name.as_str().unwrap_or_default();
        if text.is_empty() {
            loader.fault(Code::Value, name.at, "the name of the stack is empty; give it one, or leave the key out");
        }
        verdict.name = Some(text.to_owned());
    }
    let own = tree.entries("volumes").filter(|(_, node)| node.get("external").is_none());
    verdict.volumes = own.map(|(key, node)| (key.clone(), node.text_of("name").map(str::to_owned))).collect();
    verdict.paths = paths(tree, verdict);
    verdict.profiles = profiles;
    let given = ["secrets", "configs"].into_iter().flat_map(|part| tree.entries(part));
    loader.asked.names.extend(given.filter_map(|(_, node)| node.text_of("environment")).map(str::to_owned));
    verdict.warnings = warnings(loader, verdict);
}

/// Paths of the stack's own folder, as they are from there.
fn paths(tree: &Node, verdict: &Verdict) -> BTreeSet<String> {
    let active = || verdict.services.values().filter(|service| service.active);
    let mounts = active().flat_map(|service| &service.mounts).filter(|mount| mount.from == Origin::Host);
    let builds = active().filter_map(|service| service.build.as_ref()).map(|build| build.context.as_str());
    let given = ["secrets", "configs"].into_iter().flat_map(|part| tree.entries(part));
    let given = given.filter_map(|(_, node)| node.text_of("file"));
    let all = mounts.map(|mount| mount.source.as_str()).chain(builds.filter(|path| !path.contains("://"))).chain(given);
    all.map(|path| joined("", path)).filter(|path| !rules::leaves(path)).collect()
}

fn warnings(loader: &Loader<'_>, verdict: &Verdict) -> Vec<String> {
    let mut told = Vec::new();
    if verdict.active().next().is_none() {
        told.push("no service would start: each has a profile, and none is asked for".to_owned());
    }
    let unset: Vec<&str> = loader.asked.unset.iter().map(String::as_str).collect();
    if !unset.is_empty() {
        told.push(format!("not set, and empty where they stand: {}", unset.join(", ")));
    }
    told
}

/// In the order of the files; those without a place last.
fn sorted(mut faults: Vec<Fault>, stack: &Stack<'_>) -> Vec<Fault> {
    let place = |fault: &Fault| {
        let file = stack.files.iter().position(|(name, _)| *name == fault.place.file).unwrap_or(stack.files.len());
        (file, fault.place.clone())
    };
    faults.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.text.cmp(&b.text)));
    faults.dedup();
    if faults.len() > MAX_FAULTS {
        let more = faults.len() - MAX_FAULTS;
        faults.truncate(MAX_FAULTS);
        faults.push(Fault::new(Code::Limit, Place::default(), format!("and {more} more")));
    }
    faults
}
