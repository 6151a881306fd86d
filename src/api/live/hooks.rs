//! Hooks, their deliveries, and tokens.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cutover_events::engine::{TokenAdded, TokenRevoked};
use cutover_events::workload::{HookAdded, HookRemoved, HookRotated, Provider};
use cutover_events::{Digest, Event, HookId, TokenId};

use super::{LiveBackend, by};
use crate::api::backend::{Asker, HookName, Refusal};
use crate::api::time::rfc3339;
use crate::api::views::{
    DeliveriesView, DeliveryView, HookAsk, HookSecretView, HookView, HooksView, ProviderWord, RotateAsk,
    TokenAddedView, TokenAsk, TokenView, TokensView, VerdictView,
};
use crate::intake::deliveries;
use crate::secrets::Owner;

/// Of a secret or token that we make, bytes: as many as a key of HMAC-SHA256 can use.
const SECRET_BYTES: usize = 32;
/// Of a secret that a person brings, bytes: shorter ones can be tried out.
const MIN_SECRET: usize = 8;
/// Where the generic scheme looks for the signature when no header is named, lower case.
const DEFAULT_HEADER: &str = "x-signature";

impl LiveBackend {
    fn hook(&self, name: &HookName) -> Result<HookId, Refusal> {
        let engine = self.commands.live().engine();
        let found = engine.hooks.iter().find(|(id, hook)| hook.name == name.0 || id.to_string() == name.0);
        found
            .map(|(id, _)| *id)
            .ok_or_else(|| Refusal::UnknownName(format!("no hook is named {}: `cutover hook list` lists them", name.0)))
    }

    fn hook_view(&self, id: HookId) -> Option<HookView> {
        let engine = self.commands.live().engine();
        let hook = engine.hooks.get(&id)?;
        let (provider, header) = match &hook.provider {
            Provider::GitHub => (ProviderWord::Github, "x-hub-signature-256".to_owned()),
            Provider::Generic { header } => (ProviderWord::Generic, header.clone()),
        };
        let path = format!("/hooks/{id}");
        Some(HookView {
            hook_id: id.to_string(),
            name: hook.name.clone(),
            provider,
            header,
            url: (!self.hooks_url.is_empty()).then(|| format!("{}{path}", self.hooks_url)),
            path,
            secrets: hook.secrets.len() as u32,
        })
    }

    pub(super) fn all_hooks(&self) -> HooksView {
        let ids: Vec<_> = self.commands.live().engine().hooks.keys().copied().collect();
        HooksView { hooks: ids.into_iter().filter_map(|id| self.hook_view(id)).collect() }
    }

    /// The secret that is given, or a new one; and the blob that it is sealed in.
    fn secret(&self, given: Option<String>) -> Result<(String, Digest), Refusal> {
        let secret = match given {
            Some(secret) if secret.len() < MIN_SECRET => {
                return Err(Refusal::BadContent(format!("the secret is too short: at least {MIN_SECRET} characters")));
            }
            Some(secret) => secret,
            None => self.random()?,
        };
        let sealed = self.secrets.seal(Owner::Engine, secret.as_bytes());
        Ok((secret, sealed.map_err(|error| Refusal::Internal(error.to_string()))?))
    }

    fn random(&self) -> Result<String, Refusal> {
        let bytes = self.clock.secret::<SECRET_BYTES>().map_err(|error| Refusal::Internal(error.to_string()))?;
        Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    pub(super) async fn add_hook(&self, asker: Asker, ask: HookAsk) -> Result<HookSecretView, Refusal> {
        let provider = match ask.provider {
            ProviderWord::Github => Provider::GitHub,
            ProviderWord::Generic => {
                Provider::Generic { header: ask.header.unwrap_or_else(|| DEFAULT_HEADER.into()).to_ascii_lowercase() }
            }
        };
        let (secret, sealed) = self.secret(ask.secret)?;
        let id = HookId::from_ulid(self.clock.ulid());
        let (name, taken) = (ask.name.clone(), format!("a hook named {} exists: rotate or remove it", ask.name));
        let added =
            self.commands.engine(by(&asker), |engine| match engine.hooks.values().any(|hook| hook.name == name) {
                true => Err(Refusal::Conflict(taken)),
                false => Ok(vec![Event::from(HookAdded { hook: id, name, provider, secret: sealed })]),
            });
        added.await?;
        let hook = self.hook_view(id).ok_or_else(|| Refusal::Internal("the hook is gone".into()))?;
        Ok(HookSecretView { hook, secret })
    }

    pub(super) async fn rotate_hook(
        &self,
        asker: Asker,
        hook: &HookName,
        ask: RotateAsk,
    ) -> Result<HookSecretView, Refusal> {
        let id = self.hook(hook)?;
        let (secret, sealed) = self.secret(ask.secret)?;
        let rotated = self.commands.engine(by(&asker), |engine| match engine.hooks.contains_key(&id) {
            true => Ok(vec![Event::from(HookRotated { hook: id, secret: sealed })]),
            false => Err(Refusal::UnknownName("the hook is gone".into())),
        });
        rotated.await?;
        let hook = self.hook_view(id).ok_or_else(|| Refusal::Internal("the hook is gone".into()))?;
        Ok(HookSecretView { hook, secret })
    }

    pub(super) async fn remove_hook(&self, asker: Asker, hook: &HookName) -> Result<(), Refusal> {
        let id = self.hook(hook)?;
        let removed = self.commands.engine(by(&asker), |engine| {
            let known = engine.hooks.contains_key(&id);
            Ok::<_, Refusal>(if known { vec![Event::from(HookRemoved { hook: id })] } else { Vec::new() })
        });
        removed.await.map(drop)
    }

    pub(super) async fn deliveries_of(&self, hook: &HookName, limit: usize) -> Result<DeliveriesView, Refusal> {
        let id = self.hook(hook)?;
        let name = self.hook_view(id).map(|view| view.name).unwrap_or_default();
        let page = deliveries::list(&**self.commands.log(), id, None, limit.min(deliveries::MAX_PAGE)).await?;
        let view = |delivery: deliveries::Delivery| self.delivery(&name, delivery);
        Ok(DeliveriesView { deliveries: page.deliveries.into_iter().map(view).collect() })
    }

    pub(super) fn delivery(&self, hook: &str, delivery: deliveries::Delivery) -> DeliveryView {
        let (summary, verdicts) = match delivery.decision {
            Some(decision) => (decision.summary, decision.verdicts),
            None => ("not decided yet".into(), Vec::new()),
        };
        let verdict = |verdict: cutover_events::delivery::Verdict| VerdictView {
            workload: self.full_name(verdict.workload),
            rule: verdict.rule,
            deployment_id: verdict.intent.map(|id| id.to_string()),
            reference: verdict.reference,
            why: verdict.why,
        };
        DeliveryView {
            delivery_id: delivery.received.delivery.to_string(),
            position: delivery.position,
            time: rfc3339(delivery.at.wall_ms),
            hook: hook.to_owned(),
            sender_id: delivery.received.sender_id,
            event: delivery.received.event,
            summary,
            verdicts: verdicts.into_iter().map(verdict).collect(),
        }
    }

    pub(super) fn all_tokens(&self) -> TokensView {
        let engine = self.commands.live().engine();
        let view = |(id, token): (&TokenId, &cutover_domain::engine::Token)| TokenView {
            token_id: id.to_string(),
            name: token.name.clone(),
        };
        TokensView { tokens: engine.tokens.iter().map(view).collect() }
    }

    pub(super) async fn add_token(&self, asker: Asker, ask: TokenAsk) -> Result<TokenAddedView, Refusal> {
        let token = format!("cut_{}", self.random()?);
        let (id, hash) = (TokenId::from_ulid(self.clock.ulid()), Digest::of(token.as_bytes()));
        let name = ask.name.clone();
        let added = self.commands.engine(by(&asker), |engine| match engine.tokens.values().any(|t| t.name == name) {
            true => {
                Err(Refusal::Conflict(format!("a token named {name} exists: revoke it first, or choose another name")))
            }
            false => Ok(vec![Event::from(TokenAdded { token: id, name, hash })]),
        });
        added.await?;
        Ok(TokenAddedView { token_id: id.to_string(), name: ask.name, token })
    }

    pub(super) async fn revoke_token(&self, asker: Asker, token: TokenId) -> Result<(), Refusal> {
        let revoked = self.commands.engine(by(&asker), |engine| match engine.tokens.contains_key(&token) {
            true => Ok(vec![Event::from(TokenRevoked { token })]),
            false => Err(Refusal::UnknownName(format!("no token is {token}: `cutover token list` lists them"))),
        });
        revoked.await.map(drop)
    }
}
