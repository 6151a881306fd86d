//! Values that may hold secrets: what is declared in the clear is recorded sealed, or, for a comparison, as a keyed hash.

use cutover_domain::file::{Declared, Values};
use cutover_domain::registry::Apply;
use cutover_events::WorkloadId;
use cutover_events::workload::{EnvVar, SealedText, Source, Spec};

use super::LiveBackend;
use crate::api::backend::Refusal;
use crate::api::views::ApplyMode;
use crate::recovery::waits_for_a_change;
use crate::secrets::{Owner, SecretsError};

impl LiveBackend {
    /// The spec with its values sealed: a value that is as before keeps its sealed form.
    pub(super) fn sealed(&self, declared: &Declared, mode: ApplyMode) -> Result<Apply, Refusal> {
        let registry = self.registry();
        let known = registry.find(&declared.project, &declared.name);
        let workload = known.unwrap_or_else(|| WorkloadId::from_ulid(self.clock.ulid()));
        let before = registry.workloads.get(&workload).and_then(|registered| registered.revisions.last());
        let spec = filled(declared, before.map(|spec| &**spec), |name, value, was| {
            let owner = Owner::Workload(workload);
            let internal = |error: SecretsError| Refusal::Internal(format!("{name}: {error}"));
            let mac = self.secrets.mac(owner, value.as_bytes()).map_err(internal)?;
            let sealed = match was.filter(|was| was.mac == mac) {
                Some(was) => was.sealed,
                None => self.secrets.seal(owner, value.as_bytes()).map_err(internal)?,
            };
            Ok(SealedText { sealed, mac })
        })?;
        let (project, name) = (declared.project.clone(), declared.name.clone());
        let state = self.commands.live().cell(workload).state();
        let deploy = mode != ApplyMode::Record && !waits_for_a_change(&spec, &state);
        Ok(Apply { workload, project, name, spec, deploy })
    }

    /// As [`Self::sealed`], without keeping anything: values are compared by their keyed hash.
    pub(super) fn compared(&self, declared: &Declared, mode: ApplyMode) -> Result<Apply, Refusal> {
        let known = self.registry().find(&declared.project, &declared.name);
        let workload = known.unwrap_or_else(|| WorkloadId::from_ulid(self.clock.ulid()));
        let spec = filled(declared, None, |name, value, _| {
            let internal = |error: SecretsError| Refusal::Internal(format!("{name}: {error}"));
            let mac = known.map(|id| self.secrets.mac(Owner::Workload(id), value.as_bytes()).map_err(internal));
            Ok(SealedText { sealed: Default::default(), mac: mac.transpose()?.unwrap_or_default() })
        })?;
        let (project, name) = (declared.project.clone(), declared.name.clone());
        Ok(Apply { workload, project, name, spec, deploy: mode != ApplyMode::Record })
    }
}

/// The spec with its values, each as `make` makes it of its name, its text and its form in the spec before.
fn filled(
    declared: &Declared,
    before: Option<&Spec>,
    make: impl Fn(&str, &str, Option<SealedText>) -> Result<SealedText, Refusal>,
) -> Result<Spec, Refusal> {
    let variable = |(name, value): (&String, &String), known: &[EnvVar]| {
        let was = known.iter().find(|var| var.name == *name);
        let was = was.map(|EnvVar { sealed, mac, .. }| SealedText { sealed: *sealed, mac: *mac });
        let SealedText { sealed, mac } = make(name, value, was)?;
        Ok::<_, Refusal>(EnvVar { name: name.clone(), sealed, mac })
    };
    let mut spec = declared.spec.clone();
    let Values { env, args, compose_yaml } = &declared.values;
    let known = before.map_or(&[][..], |spec| &spec.env);
    spec.env = env.iter().map(|one| variable(one, known)).collect::<Result<_, _>>()?;
    match (&mut spec.source, before.map(|spec| &spec.source)) {
        (Source::Dockerfile(build), before) => {
            let known = if let Some(Source::Dockerfile(was)) = before { &was.args[..] } else { &[] };
            build.args = args.iter().map(|one| variable(one, known)).collect::<Result<_, _>>()?;
        }
        (Source::Compose(stack), before) => {
            let was = if let Some(Source::Compose(was)) = before { was.text.clone() } else { None };
            let text = compose_yaml.as_deref().map(|text| make("compose_yaml", text, was));
            stack.text = text.transpose()?;
        }
        (Source::Image(_) | Source::Static(_), _) => {}
    }
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use cutover_domain::file::read;

    use super::*;

    /// Seals by counting, so that a value that is sealed again is seen.
    fn sealed(declared: &Declared, before: Option<&Spec>) -> Spec {
        filled(declared, before, |name, value, was| {
            let mac = [value.len() as u8; 16];
            let again = was.filter(|was| was.mac == mac);
            Ok(again.unwrap_or_else(|| SealedText { sealed: cutover_events::Digest::of(name.as_bytes()), mac }))
        })
        .unwrap_or_else(|refused| panic!("{refused:?}"))
    }

    #[test]
    fn arguments_and_stacks_are_sealed_as_the_environment_is() {
        let file = "[workloads.a]\ndockerfile = { context = \".\", args = { TOKEN = \"hunter2\" } }\n\
                    env = { KEY = \"hunter2\" }\n[workloads.b]\ncompose = { compose_yaml = \"hunter2\" }\n";
        for declared in read("f.toml", file.as_bytes()).unwrap_or_else(|bad| panic!("{bad}")) {
            let spec = sealed(&declared, None);
            let bytes = format!("{spec:?}{declared:?}");
            assert!(!bytes.contains("hunter2"), "{bytes}");
            match &spec.source {
                Source::Dockerfile(build) => assert_eq!((build.args.len(), spec.env.len()), (1, 1)),
                other => assert!(matches!(other, Source::Compose(stack) if stack.text.is_some())),
            }
            let (mut moved, elsewhere) = (spec.clone(), cutover_events::Digest([9; 32]));
            moved.env.iter_mut().for_each(|var| var.sealed = elsewhere);
            match &mut moved.source {
                Source::Dockerfile(build) => build.args.iter_mut().for_each(|var| var.sealed = elsewhere),
                Source::Compose(stack) => stack.text.iter_mut().for_each(|text| text.sealed = elsewhere),
                Source::Image(_) | Source::Static(_) => {}
            }
            assert_eq!(sealed(&declared, Some(&moved)), moved);
            assert!(cutover_domain::registry::same(&spec, &moved));
            assert!(!cutover_domain::registry::same(&spec, &declared.spec));
        }
    }
}
