//! The workload files that the lab applies.

use super::Stand;
use crate::sample;

/// A workload of the sample, with short times.
pub(crate) struct Workload {
    /// Name within the project.
    pub name: String,
    /// Reference of the image.
    pub image: String,
    /// Its line in place of that of an image.
    pub source: Option<String>,
    /// `NAME = VALUE`.
    pub env: Vec<(String, String)>,
    /// The trigger, `HOOK:OWNER/NAME@BRANCH`.
    pub deploy: Option<String>,
    /// Processes beside itself: name, and the one argument of the program.
    pub processes: Vec<(String, String)>,
    /// More lines of its table.
    pub lines: Vec<String>,
    /// Keys and values of the policy, values as TOML.
    pub policy: Vec<(&'static str, String)>,
}

impl Workload {
    /// Bake 1 s, drain 2 s, gate 20 s.
    pub(crate) fn new(name: &str, image: &str) -> Self {
        let policy = [("bake", "1s"), ("drain", "2s"), ("gate_timeout", "20s")];
        Self {
            name: name.into(),
            image: image.into(),
            source: None,
            env: Vec::new(),
            deploy: None,
            processes: Vec::new(),
            lines: Vec::new(),
            policy: policy.map(|(key, value)| (key, format!("\"{value}\""))).to_vec(),
        }
    }

    /// From files: a line `dockerfile = …` or `static = …`.
    pub(crate) fn of(name: &str, source: &str) -> Self {
        let mut workload = Self::new(name, "");
        workload.source = Some(source.into());
        if workload.is_site() {
            workload.policy.retain(|(key, _)| *key == "drain");
        }
        workload
    }

    /// Whether the proxy serves it by itself: then nothing listens, and nothing is asked whether it is ready.
    fn is_site(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.starts_with("static"))
    }

    /// Sets a variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Adds a line to its table.
    pub(crate) fn line(mut self, line: &str) -> Self {
        self.lines.push(line.into());
        self
    }

    /// Adds a process beside itself.
    pub(crate) fn process(mut self, name: &str, argument: &str) -> Self {
        self.processes.push((name.into(), argument.into()));
        self
    }

    /// Lets pushes deploy it.
    pub(crate) fn deploy(mut self, trigger: &str) -> Self {
        self.deploy = Some(trigger.into());
        self
    }

    /// Sets a time of the policy.
    pub(crate) fn policy(mut self, key: &'static str, time: &str) -> Self {
        self.policy.retain(|(old, _)| *old != key);
        self.policy.push((key, format!("\"{time}\"")));
        self
    }

    /// The file.
    pub(crate) fn file(&self, stand: &Stand) -> String {
        format!("project = \"{}\"\n\n{}", stand.project, self.table(stand))
    }

    /// Its table within a file.
    pub(crate) fn table(&self, stand: &Stand) -> String {
        let mut file = format!("[workloads.{}]\n", self.name);
        let mut line = |text: String| {
            file.push_str(&text);
            file.push('\n');
        };
        line(match &self.source {
            Some(source) => source.clone(),
            None => format!("image  = \"{}\"", self.image),
        });
        line(format!("host   = \"{}\"", stand.host(&self.name)));
        if !self.is_site() {
            line(format!("port   = {}", sample::PORT));
            line("health = \"/healthz\"".into());
        }
        if let Some(deploy) = &self.deploy {
            line(format!("deploy = \"{deploy}\""));
        }
        if !self.env.is_empty() {
            let pairs: Vec<String> = self.env.iter().map(|(name, value)| format!("{name} = \"{value}\"")).collect();
            line(format!("env    = {{ {} }}", pairs.join(", ")));
        }
        self.lines.iter().cloned().for_each(&mut line);
        line(format!("\n[workloads.{}.policy]", self.name));
        for (key, value) in &self.policy {
            line(format!("{key} = {value}"));
        }
        for (name, argument) in &self.processes {
            line(format!("\n[workloads.{}.processes.{name}]\ncommand = [\"{argument}\"]", self.name));
        }
        file
    }
}
