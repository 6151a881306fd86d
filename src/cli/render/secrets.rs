//! Secrets: names, versions and who needs them. There is no value to show.

use std::collections::BTreeMap;

use super::Tone;
use super::screen::Screen;
use super::table::{Column, Table, cell};
use crate::api::told::words::count;
use crate::api::views::{RekeyedView, SecretUserView, SecretView, SecretsSetView, SecretsView};

/// Characters of a hash that tell one value from another.
const SHORT_HASH: usize = 8;

/// Every secret, a line each, with a note for what runs with an older version.
pub(in crate::cli) fn all(view: &SecretsView, screen: &Screen) -> String {
    if view.secrets.is_empty() {
        return "no secrets yet; set one with `cutover secret set PROJECT/NAME`\n".to_owned();
    }
    let columns = [
        Column::whole("SECRET"),
        Column::whole("VERSION"),
        Column::drops("KEPT", 4),
        Column::drops("SET", 2),
        Column::drops("BY", 3),
        Column::drops("NEEDED BY", 1),
    ];
    let mut table = Table::new(&columns);
    for secret in &view.secrets {
        let Some(newest) = secret.versions.first() else { continue };
        let users: Vec<String> = secret.used_by.iter().map(user).collect();
        let needed = if users.is_empty() { (Tone::Quiet, "nobody".to_owned()) } else { cell(users.join(", ")) };
        table.row(vec![
            cell(format!("{}/{}", secret.project, secret.name)),
            cell(newest.version.to_string()),
            cell(secret.kept.to_string()),
            cell(screen.since(&newest.time)),
            cell(&newest.by),
            needed,
        ]);
        for user in secret.used_by.iter().filter(|user| behind(user, newest.version)) {
            table.note(Tone::Moving, older(user, newest.version));
        }
    }
    table.render(screen)
}

/// The versions of a secret, newest first.
pub(in crate::cli) fn versions(view: &SecretView, screen: &Screen) -> String {
    let columns = [
        Column::whole("VERSION"),
        Column::whole("SET"),
        Column::drops("BY", 2),
        Column::drops("HASH", 3),
        Column::drops("RUNS IN", 1),
    ];
    let mut table = Table::new(&columns);
    for version in &view.versions {
        let runs = view.used_by.iter().filter(|user| user.runs_with == Some(version.version));
        let runs: Vec<&str> = runs.map(|user| user.workload.as_str()).collect();
        table.row(vec![
            cell(version.version.to_string()),
            cell(screen.since(&version.time)),
            cell(&version.by),
            cell(version.hash.chars().take(SHORT_HASH).collect::<String>()),
            cell(runs.join(", ")),
        ]);
    }
    let head = format!(
        "{}/{}: {} kept, values are not shown\n",
        view.project,
        view.name,
        count(view.kept.into(), "version", "versions")
    );
    head + &table.render(screen)
}

/// What was set, what goes on with an older value, and what is deployed with the new one.
pub(in crate::cli) fn set(view: &SecretsSetView, screen: &Screen) -> String {
    let mut text = String::new();
    for secret in &view.secrets {
        let name = format!("{}/{}", view.project, secret.name);
        let line = match secret.changed {
            true => format!("{name} has version {}", secret.version),
            false => format!("{name} has this value already, as version {}", secret.version),
        };
        text.push_str(&screen.hanging("", (if secret.changed { Tone::Good } else { Tone::Normal }, &line)));
        if secret.used_by.is_empty() {
            let hint = format!("no workload needs it yet: ${{secret:{0}}} in env, or secrets = [\"{0}\"]", secret.name);
            text.push_str(&screen.hanging("  ", (Tone::Quiet, &hint)));
        }
        let deployed = |user: &&SecretUserView| view.deployments.iter().any(|one| one.workload == user.workload);
        for user in secret.used_by.iter().filter(|user| behind(user, secret.version) && !deployed(user)) {
            text.push_str(&screen.hanging("  ", (Tone::Moving, &older(user, secret.version))));
        }
        for user in secret.used_by.iter().filter(|user| user.ways.iter().any(|way| way == "env")) {
            let hint = format!(
                "{}: in its environment, which whoever may ask Docker can read (docker inspect)",
                user.workload
            );
            text.push_str(&screen.hanging("  ", (Tone::Quiet, &hint)));
        }
    }
    for deployment in &view.deployments {
        let line = format!("{} is deployed with it: `cutover wait {}`", deployment.workload, deployment.deployment_id);
        text.push_str(&screen.hanging("  ", (Tone::Moving, &line)));
    }
    text
}

/// The logins that were taken over, and where each is written; `registries` by the names of the secrets.
pub(in crate::cli) fn logins(view: &SecretsSetView, registries: &BTreeMap<String, String>, screen: &Screen) -> String {
    let mut text = String::new();
    for secret in &view.secrets {
        let (name, version) = (format!("{}/{}", view.project, secret.name), secret.version);
        let (tone, line) = match secret.changed {
            true => (Tone::Good, format!("{name} has version {version}")),
            false => (Tone::Normal, format!("{name} has this value already, as version {version}")),
        };
        text.push_str(&screen.hanging("", (tone, &line)));
        let registry = registries.get(&secret.name).map_or("", String::as_str);
        let hint = format!("image = {{ ref = \"{registry}/…\", credentials = \"{}\" }}", secret.name);
        text.push_str(&screen.hanging("  ", (Tone::Quiet, &hint)));
    }
    for deployment in &view.deployments {
        let line = format!("{} is deployed with it: `cutover wait {}`", deployment.workload, deployment.deployment_id);
        text.push_str(&screen.hanging("  ", (Tone::Moving, &line)));
    }
    text
}

/// What was sealed anew.
pub(in crate::cli) fn rekeyed(view: &RekeyedView) -> String {
    let secrets = count(view.secrets.into(), "secret", "secrets");
    let versions = count(view.versions.into(), "version", "versions");
    format!(
        "{}: {secrets} sealed anew ({versions}); the old identity is destroyed, backups made before still hold it\n",
        view.project
    )
}

fn user(user: &SecretUserView) -> String {
    format!("{} ({})", user.workload, user.ways.join(", "))
}

fn behind(user: &SecretUserView, newest: u32) -> bool {
    user.runs_with.is_some_and(|version| version != newest)
}

fn older(user: &SecretUserView, newest: u32) -> String {
    let (name, runs) = (&user.workload, user.runs_with.unwrap_or_default());
    format!("{name} runs with version {runs}: `cutover restart {name}` brings version {newest}")
}

#[cfg(test)]
mod tests {
    use super::super::samples::screen;
    use super::*;
    use crate::api::views::{SecretDeploymentView, SecretSetView, SecretVersionView};

    fn used(workload: &str, ways: &[&str], runs_with: Option<u32>) -> SecretUserView {
        SecretUserView { workload: workload.into(), ways: ways.iter().map(|way| (*way).into()).collect(), runs_with }
    }

    fn secret(name: &str, newest: u32, used_by: Vec<SecretUserView>) -> SecretView {
        let version = |version| SecretVersionView {
            version,
            time: "2026-01-31T12:00:00.000Z".into(),
            by: "alice".into(),
            hash: "0123456789abcdef0123456789abcdef".into(),
        };
        let versions = (1..=newest).rev().map(version).collect();
        SecretView { project: "shop".into(), name: name.into(), versions, kept: newest, used_by }
    }

    #[test]
    fn a_list_says_who_needs_what_and_what_is_behind() {
        let users = vec![used("shop/db", &["env"], Some(2)), used("shop/web", &["file", "env"], Some(1))];
        let secrets = vec![secret("db_password", 2, users), secret("spare", 1, vec![])];
        let view = SecretsView { projects: vec!["shop".into()], secrets };
        let expected = "\
SECRET            VERSION  KEPT  SET        BY     NEEDED BY
shop/db_password  2        2     5 min ago  alice  shop/db (env), shop/web (file, env)
  shop/web runs with version 1: `cutover restart shop/web` brings version 2
shop/spare        1        1     5 min ago  alice  nobody
";
        assert_eq!(all(&view, &screen(120)), expected);
        let narrow = all(&view, &screen(40));
        assert!(narrow.lines().all(|line| line.chars().count() <= 40), "{narrow}");
    }

    #[test]
    fn versions_say_where_they_run() {
        let text = versions(&secret("key", 2, vec![used("shop/web", &["file"], Some(1))]), &screen(80));
        let expected = "\
shop/key: 2 versions kept, values are not shown
VERSION  SET        BY     HASH      RUNS IN
2        5 min ago  alice  01234567
1        5 min ago  alice  01234567  shop/web
";
        assert_eq!(text, expected);
    }

    #[test]
    fn setting_says_what_goes_on_with_the_old_value() {
        let one = |name: &str, changed, used_by| SecretSetView { name: name.into(), version: 2, changed, used_by };
        let users = vec![used("shop/db", &["env"], Some(1)), used("shop/web", &["file"], Some(1))];
        let view = SecretsSetView {
            project: "shop".into(),
            secrets: vec![one("a", true, users), one("b", false, vec![])],
            deployments: vec![SecretDeploymentView { workload: "shop/web".into(), deployment_id: "dep_1".into() }],
            position: 7,
        };
        let expected = "\
shop/a has version 2
  shop/db runs with version 1: `cutover restart shop/db` brings version 2
  shop/db: in its environment, which whoever may ask Docker can read (docker inspect)
shop/b has this value already, as version 2
  no workload needs it yet: ${secret:b} in env, or secrets = [\"b\"]
  shop/web is deployed with it: `cutover wait dep_1`
";
        assert_eq!(set(&view, &screen(120)), expected);
    }
}
