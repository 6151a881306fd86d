//! The twin of Compose: projects in memory, with the services that their files name.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use cutover_compose::{Stack, Variables, Verdict};
use cutover_domain::observed::DockerId;
use cutover_events::Digest;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{
    Anew, Compose, ComposeError, Generation, Healthy, Holder, Program, Project, ProjectVolume, Row, State, Volumes,
    folder,
};
use crate::adapters::runtime::ServiceContainer;

/// What is there of one project.
#[derive(Debug, Default)]
struct Held {
    rows: BTreeMap<String, (Row, cutover_compose::Service)>,
    volumes: Vec<String>,
}

/// Compose in memory. It has a program unless it is said that there is none.
#[derive(Debug)]
pub struct MemoryCompose {
    program: Option<Program>,
    projects: Mutex<BTreeMap<String, Held>>,
    failures: Mutex<VecDeque<ComposeError>>,
    made: Mutex<u64>,
    held: Mutex<Vec<Holder>>,
}

impl Default for MemoryCompose {
    fn default() -> Self {
        let path = PathBuf::from("/usr/bin/docker-compose");
        let program = Program { path, version: "2.0.0".to_owned(), generation: Generation::Second };
        let program = Some(program);
        let (projects, failures, made, held) = Default::default();
        Self { program, projects, failures, made, held }
    }
}

impl MemoryCompose {
    /// A host without Compose.
    #[must_use]
    pub fn without_program() -> Self {
        Self { program: None, ..Self::default() }
    }

    /// The next command fails so, having done nothing.
    pub fn fail(&self, error: ComposeError) {
        self.failures.lock().push_back(error);
    }

    /// A service becomes as Docker would show it.
    pub fn set(&self, name: &str, service: &str, change: impl FnOnce(&mut Row)) {
        if let Some((row, _)) = self.projects.lock().get_mut(name).and_then(|held| held.rows.get_mut(service)) {
            change(row);
        }
    }

    /// A person removes the containers of a service.
    pub fn remove(&self, name: &str, service: &str) {
        if let Some(held) = self.projects.lock().get_mut(name) {
            held.rows.remove(service);
        }
    }

    /// Somebody else's project.
    pub fn foreign(&self, name: &str, service: &str) {
        let row = Row { ours: false, ..self.row(service, 1) };
        let service = cutover_compose::Service { name: service.to_owned(), ..cutover_compose::Service::default() };
        self.projects.lock().entry(name.to_owned()).or_default().rows.insert(row.service.clone(), (row, service));
    }

    /// A container of somebody else.
    pub fn hold(&self, holder: Holder) {
        self.held.lock().push(holder);
    }

    fn row(&self, service: &str, containers: u32) -> Row {
        let mut made = self.made.lock();
        let containers = (1..=containers).map(|number| {
            *made += 1;
            let name = format!("{service}-{number}");
            let id = DockerId(Digest::of(format!("{service} {made}").as_bytes()).0);
            ServiceContainer { id, name, number: usize::try_from(number).unwrap_or(usize::MAX), runs: true }
        });
        Row {
            service: service.to_owned(),
            containers: containers.collect(),
            state: State::Running,
            health: Healthy::Unchecked,
            exit_code: None,
            ours: true,
            address: None,
        }
    }

    fn ready(&self, project: &Project) -> Result<Verdict, ComposeError> {
        self.program.as_ref().ok_or(ComposeError::NoProgram)?;
        super::command::checked(project)?;
        folder::of(std::path::Path::new("/"), &project.name)?;
        if let Some(error) = self.failures.lock().pop_front() {
            return Err(error);
        }
        let files: Vec<(&str, &[u8])> = project
            .order
            .iter()
            .filter_map(|name| Some((name.as_str(), project.files.get(name)?.as_slice())))
            .collect();
        let variables = Variables { given: project.variables.clone(), ..Variables::default() };
        let stack = Stack {
            project: &project.name,
            files: &files,
            beside: &project.files,
            variables,
            profiles: &project.profiles,
        };
        Ok(cutover_compose::judge(&stack))
    }
}

#[async_trait]
impl Compose for MemoryCompose {
    async fn program(&self) -> Option<&Program> {
        self.program.as_ref()
    }

    async fn judge(&self, project: &Project) -> Result<(), ComposeError> {
        let accepted = self.ready(project)?.accepted();
        if accepted { Ok(()) } else { Err(ComposeError::Refused(1)) }
    }

    async fn up(&self, project: &Project, _: Duration, cancel: &CancellationToken) -> Result<(), ComposeError> {
        let verdict = self.ready(project)?;
        if cancel.is_cancelled() {
            return Err(ComposeError::Cancelled("up"));
        }
        if !verdict.accepted() {
            return Err(ComposeError::Failed { what: "up", code: 1 });
        }
        let wished: Vec<_> = verdict.services.into_values().filter(|service| service.active).collect();
        let mut projects = self.projects.lock();
        let held = projects.entry(project.name.clone()).or_default();
        held.rows.retain(|name, _| wished.iter().any(|service| service.name == *name));
        for service in wished {
            match held.rows.get_mut(&service.name) {
                Some((row, known))
                    if *known == service && row.state == State::Running && project.anew == Anew::Changed => {}
                // What has ended is started again, and is the same container.
                Some((row, known)) if *known == service && project.anew == Anew::Changed => row.state = State::Running,
                _ => {
                    let row = self.row(&service.name, service.replicas);
                    held.rows.insert(service.name.clone(), (row, service));
                }
            }
        }
        for (key, name) in verdict.volumes {
            let name = name.unwrap_or_else(|| format!("{}_{key}", project.name));
            if !held.volumes.contains(&name) {
                held.volumes.push(name);
            }
        }
        held.volumes.sort();
        Ok(())
    }

    async fn rows(&self, name: &str) -> Result<Vec<Row>, ComposeError> {
        let projects = self.projects.lock();
        let rows = projects.get(name).into_iter().flat_map(|held| held.rows.values());
        Ok(rows.map(|(row, _)| row.clone()).collect())
    }

    async fn holders(&self) -> Result<Vec<Holder>, ComposeError> {
        Ok(self.held.lock().clone())
    }

    async fn volumes(&self, name: &str) -> Result<Vec<ProjectVolume>, ComposeError> {
        let projects = self.projects.lock();
        let names = projects.get(name).into_iter().flat_map(|held| &held.volumes);
        Ok(names.map(|name| ProjectVolume { name: name.clone(), bytes: Some(0) }).collect())
    }

    async fn down(&self, project: &Project, volumes: Volumes, _: Duration) -> Result<(), ComposeError> {
        self.ready(project)?;
        let mut projects = self.projects.lock();
        match (projects.get_mut(&project.name), volumes) {
            (Some(held), Volumes::Keep) => held.rows.clear(),
            (Some(_), Volumes::Remove) => {
                projects.remove(&project.name);
            }
            (None, _) => {}
        }
        Ok(())
    }

    async fn forget(&self, name: &str, _: Volumes) -> Result<(), ComposeError> {
        folder::of(std::path::Path::new("/"), name)?;
        Ok(())
    }
}
