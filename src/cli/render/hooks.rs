//! Hooks, their deliveries, and secrets that are shown once.

use super::table::{Table, cell};
use super::words::ago;
use super::{Paint, Tone};
use crate::api::views::{DeliveriesView, DeliveryView, HookSecretView, HookView, HooksView, ProviderWord};

/// Every hook, a line each.
pub(in crate::cli) fn hooks(view: &HooksView, paint: Paint) -> String {
    if view.hooks.is_empty() {
        return "no hooks yet; add one with `cutover hook add NAME`\n".to_owned();
    }
    let mut table = Table::new(&["NAME", "PROVIDER", "HEADER", "SECRETS", "ADDRESS"]);
    for hook in &view.hooks {
        table.row(vec![
            cell(&hook.name),
            cell(provider(hook.provider)),
            cell(&hook.header),
            cell(hook.secrets.to_string()),
            cell(address(hook)),
        ]);
    }
    table.render(paint)
}

/// A new secret with what to do with it.
pub(in crate::cli) fn secret(view: &HookSecretView) -> String {
    let hook = &view.hook;
    format!(
        "hook {} ({})\n  address  {}\n  secret   {}\n  header   {}\nThe secret is shown once; give it to the sender now.\n",
        hook.name,
        hook.hook_id,
        address(hook),
        view.secret,
        hook.header
    )
}

/// Deliveries, newest first, with the verdict of every rule.
pub(in crate::cli) fn deliveries(view: &DeliveriesView, now_ms: u64, paint: Paint) -> String {
    if view.deliveries.is_empty() {
        return "no deliveries yet\n".to_owned();
    }
    view.deliveries.iter().map(|delivery| one(delivery, now_ms, paint)).collect()
}

fn one(delivery: &DeliveryView, now_ms: u64, paint: Paint) -> String {
    let summary = if delivery.summary.is_empty() { "not decided yet" } else { &delivery.summary };
    let mut text = format!(
        "{:>12}  {} {} ({}): {summary}\n",
        ago(&delivery.time, now_ms),
        paint.tone(Tone::Strong, &delivery.delivery_id),
        delivery.event,
        delivery.sender_id
    );
    for verdict in &delivery.verdicts {
        let (tone, deployment) = match &verdict.deployment_id {
            Some(id) => (Tone::Good, format!("{id} ")),
            None => (Tone::Quiet, String::new()),
        };
        let line = format!("{}: {deployment}{}", verdict.workload, verdict.why);
        text.push_str(&format!("{:>12}  {}\n", "", paint.tone(tone, &line)));
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
