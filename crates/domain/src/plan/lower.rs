//! What a spec means for a plan: the arm of each source.

use cutover_events::plan::{Former, Plan, Template};
use cutover_events::secret::SecretUsed;
use cutover_events::workload::{Source, Spec};

use super::Ask;
use crate::registry::alone;
use crate::strategy::effective;
use crate::workload::Release;

/// Releases from before whose files are still answered: pages stay open for days, and most sites are released seldom.
const MAX_FORMER: usize = 5;

/// Whether what runs of a spec is on the network of its project. The proxy reads release folders by itself, and a stack
/// has networks of its own.
#[must_use]
pub const fn networked(spec: &Spec) -> bool {
    has_ports(spec) && !matches!(&spec.source, Source::Compose(_))
}

/// Whether requests go to a port of what runs of a spec.
const fn has_ports(spec: &Spec) -> bool {
    !matches!(&spec.source, Source::Static(site) if site.mode.is_files())
}

/// What a plan for a release is made from. `network` is Docker's id of the network, empty for none.
#[must_use]
pub fn ask(
    (full_name, release): (String, &Release),
    spec: &Spec,
    network: &str,
    former: Vec<Former>,
    secrets: Vec<SecretUsed>,
) -> Ask {
    let project = full_name.split_once('/').map_or("", |(project, _)| project).to_owned();
    // Docker may answer for it only where never two containers of it run.
    let name = full_name.rsplit('/').next().filter(|_| alone(spec) && networked(spec));
    let alias = name.unwrap_or_default().to_owned();
    Ask {
        release: Some(release.id),
        choice: effective(spec),
        full_name,
        template: Template {
            image: release.image.to_string(),
            network: network.to_owned(),
            env: spec.env.clone(),
            command: spec.command.clone(),
            mounts: spec.mounted().cloned().collect(),
            ports: spec.ports.clone(),
            alias,
            limits: spec.limits,
            hardening: spec.hardening,
            port: spec.routes.first().map(|route| route.port).filter(|_| has_ports(spec)),
            former,
            secrets,
        },
        routes: spec.routes.clone(),
        health: spec.health.clone(),
        policy: spec.policy,
        replicas: spec.replicas,
        processes: spec.processes.clone(),
        after: spec.after.iter().map(|name| format!("{project}/{name}")).collect(),
        release_command: spec.release.clone(),
    }
}

/// The releases from before that a new one of this spec answers for: what runs, and what that answered for and whose
/// time is not over by the wall clock.
#[must_use]
pub fn former(running: Option<&Plan>, (spec, image): (&Spec, &str), now_ms: u64) -> Vec<Former> {
    let (Source::Static(site), Some(running)) = (&spec.source, running) else { return Vec::new() };
    let runs = Former { image: running.template.image.clone(), until_ms: now_ms.saturating_add(site.assets_grace_ms) };
    let all = Some(runs).into_iter().chain(running.template.former.iter().cloned());
    let counts = |one: &Former| running.template.serves_files() && one.image != image && one.until_ms > now_ms;
    all.filter(counts).take(MAX_FORMER).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file;

    const HOUR_MS: u64 = 3_600_000;

    fn site(grace: &str) -> Spec {
        let text = format!("workloads.w = {{ static = {{ path = \"/srv/site\", assets_grace = \"{grace}\" }} }}");
        file::read("f.toml", text.as_bytes()).unwrap_or_else(|bad| panic!("{bad}")).remove(0).spec
    }

    fn running(image: &str, former: &[(&str, u64)]) -> Plan {
        let former = former.iter().map(|(image, until_ms)| Former { image: (*image).into(), until_ms: *until_ms });
        let template = Template { image: image.into(), former: former.collect(), ..Template::default() };
        Plan { template, ..crate::plan::lint::tests::good() }
    }

    #[test]
    fn what_runs_is_answered_for_until_its_grace_is_over() {
        let spec = site("1h");
        let first = former(Some(&running("site:w/a", &[])), (&spec, "site:w/b"), 10);
        assert_eq!(first, [Former { image: "site:w/a".into(), until_ms: 10 + HOUR_MS }]);
        let later =
            former(Some(&running("site:w/b", &[("site:w/a", 10 + HOUR_MS)])), (&spec, "site:w/c"), 20 + HOUR_MS);
        assert_eq!(later, [Former { image: "site:w/b".into(), until_ms: 20 + 2 * HOUR_MS }]);
    }

    #[test]
    fn a_release_never_answers_for_itself_and_no_container_for_anything() {
        let spec = site("1h");
        let again = former(Some(&running("site:w/a", &[("site:w/b", HOUR_MS)])), (&spec, "site:w/a"), 10);
        assert_eq!(again, [Former { image: "site:w/b".into(), until_ms: HOUR_MS }]);
        assert_eq!(former(Some(&running("sha256:1", &[])), (&spec, "site:w/a"), 10), []);
        assert_eq!(former(Some(&running("site:w/a", &[])), (&site("0"), "site:w/b"), 10), []);
        assert_eq!(former(None, (&spec, "site:w/b"), 10), []);
    }
}
