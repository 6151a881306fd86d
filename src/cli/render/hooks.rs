//! Hooks, their deliveries, and secrets that are shown once.

use super::Tone;
use super::screen::{Screen, width};
use super::table::{Column, Table, cell};
use crate::api::views::{DeliveriesView, DeliveryView, HookSecretView, HookView, HooksView, ProviderWord};

/// Every hook, a line each.
pub(in crate::cli) fn hooks(view: &HooksView, screen: &Screen) -> String {
    if view.hooks.is_empty() {
        return "no hooks yet; add one with `cutover hook add NAME`\n".to_owned();
    }
    let columns = [
        Column::whole("NAME"),
        Column::drops("PROVIDER", 1),
        Column::drops("HEADER", 2),
        Column::drops("SECRETS", 3),
        Column::whole("ADDRESS"),
    ];
    let mut table = Table::new(&columns);
    for hook in &view.hooks {
        table.row(vec![
            cell(&hook.name),
            cell(provider(hook.provider)),
            cell(&hook.header),
            cell(hook.secrets.to_string()),
            cell(address(hook)),
        ]);
    }
    table.render(screen)
}

/// A new secret with what to do with it.
pub(in crate::cli) fn secret(view: &HookSecretView) -> String {
    let hook = &view.hook;
    let anywhere = match hook.url {
        Some(_) => "",
        None => "The address is a path of the proxy, on any host; [hooks] host in the configuration names one.\n",
    };
    format!(
        "hook {} ({})\n  address  {}\n  secret   {}\n  header   {}\n{anywhere}The secret is shown once; give it to the sender now.\n",
        hook.name,
        hook.hook_id,
        address(hook),
        view.secret,
        hook.header
    )
}

/// Deliveries, newest first, with the verdict of every rule.
pub(in crate::cli) fn deliveries(view: &DeliveriesView, screen: &Screen) -> String {
    if view.deliveries.is_empty() {
        return "no deliveries yet; the sender's own page shows what it was answered\n".to_owned();
    }
    view.deliveries.iter().map(|delivery| one(delivery, screen)).collect()
}

fn one(delivery: &DeliveryView, screen: &Screen) -> String {
    let summary = if delivery.summary.is_empty() { "not decided yet" } else { &delivery.summary };
    let when = screen.since(&delivery.time);
    let columns = screen.time_columns();
    let head = format!("{}{when}  ", " ".repeat(columns.saturating_sub(width(&when))));
    let what = format!("{} {} ({}): {summary}", delivery.delivery_id, delivery.event, delivery.sender_id);
    let mut text = screen.beside((Tone::Quiet, &head), (Tone::Normal, &what));
    for verdict in &delivery.verdicts {
        let (tone, deployment) = match &verdict.deployment_id {
            Some(id) => (Tone::Good, format!("{id} ")),
            None => (Tone::Quiet, String::new()),
        };
        let line = format!("{}: {deployment}{}", verdict.workload, verdict.why);
        text.push_str(&screen.hanging(&" ".repeat(columns + 4), (tone, &line)));
    }
    text
}

fn provider(word: ProviderWord) -> &'static str {
    match word {
        ProviderWord::Github => "github",
        ProviderWord::Generic => "generic",
    }
}

fn address(hook: &HookView) -> String {
    hook.url.clone().unwrap_or_else(|| hook.path.clone())
}
