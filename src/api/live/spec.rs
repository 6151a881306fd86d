//! Between the spec as the API shows it and the canonical form that is validated.

use cutover_domain::file::{
    Canonical, CanonicalCheck, CanonicalHealth, CanonicalImage, CanonicalLimits, CanonicalPolicy, CanonicalRoute,
    CanonicalSource, CanonicalTrigger,
};

use crate::api::views::{
    HealthView, LimitsView, PolicyView, RouteView, SourceView, SpecView, TriggerView, WorkloadBody,
};

impl From<WorkloadBody> for Canonical {
    fn from(body: WorkloadBody) -> Self {
        let spec = body.spec;
        Self {
            project: body.project,
            name: body.name,
            source: CanonicalSource::Image(CanonicalImage {
                image: spec.source.image,
                pull: spec.source.pull,
                platform: spec.source.platform,
                deploy_strategy: spec.source.deploy_strategy,
            }),
            routes: spec.routes.into_iter().map(CanonicalRoute::from).collect(),
            env: spec.env,
            command: spec.command,
            limits: CanonicalLimits {
                memory_bytes: spec.limits.memory_bytes,
                cpu_milli: spec.limits.cpu_milli.map(u64::from),
                pids: spec.limits.pids,
            },
            hardening: spec.hardening,
            health: spec.health.map(CanonicalHealth::from),
            replicas: spec.replicas.into(),
            triggers: spec.triggers.into_iter().map(CanonicalTrigger::from).collect(),
            policy: CanonicalPolicy::from(spec.policy),
        }
    }
}

impl From<RouteView> for CanonicalRoute {
    fn from(route: RouteView) -> Self {
        Self { host: route.host, path: route.path, port: route.port.into(), strip: route.strip }
    }
}

impl From<HealthView> for CanonicalHealth {
    fn from(health: HealthView) -> Self {
        let HealthView { http, host, port, low, high, interval_ms, timeout_ms } = health;
        let status = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
        let check = match http {
            Some(path) => CanonicalCheck::Http { path, host, low: status(low), high: status(high) },
            None => CanonicalCheck::Tcp,
        };
        Self { check, port: port.into(), interval_ms, timeout_ms }
    }
}

impl From<TriggerView> for CanonicalTrigger {
    fn from(trigger: TriggerView) -> Self {
        let TriggerView { hook, repo, branch, tag, image } = trigger;
        Self { hook, repo, branch, tag, image }
    }
}

impl From<PolicyView> for CanonicalPolicy {
    fn from(policy: PolicyView) -> Self {
        let default = Self::default();
        Self {
            gate_timeout_ms: policy.gate_timeout_ms.unwrap_or(default.gate_timeout_ms),
            liveness_ms: policy.liveness_ms.unwrap_or(default.liveness_ms),
            drain_ms: policy.drain_ms.unwrap_or(default.drain_ms),
            bake_ms: policy.bake_ms.unwrap_or(default.bake_ms),
            standby_ms: policy.standby_ms.unwrap_or(default.standby_ms),
            stop_timeout_ms: policy.stop_timeout_ms.unwrap_or(default.stop_timeout_ms),
            stop_signal: policy.stop_signal.unwrap_or(default.stop_signal),
            keep_releases: policy.keep_releases.map_or(default.keep_releases, i64::from),
        }
    }
}

impl From<Canonical> for SpecView {
    fn from(spec: Canonical) -> Self {
        let CanonicalSource::Image(image) = spec.source;
        Self {
            source: SourceView {
                kind: "image".into(),
                image: image.image,
                pull: image.pull,
                platform: image.platform,
                deploy_strategy: image.deploy_strategy,
            },
            routes: spec.routes.into_iter().map(RouteView::from).collect(),
            env: spec.env,
            command: spec.command,
            limits: LimitsView {
                memory_bytes: spec.limits.memory_bytes,
                cpu_milli: spec.limits.cpu_milli.and_then(|milli| u32::try_from(milli).ok()),
                pids: spec.limits.pids,
            },
            hardening: spec.hardening,
            health: spec.health.map(HealthView::from),
            replicas: u32::try_from(spec.replicas).unwrap_or(0),
            triggers: spec.triggers.into_iter().map(TriggerView::from).collect(),
            policy: PolicyView::from(spec.policy),
        }
    }
}

impl From<CanonicalRoute> for RouteView {
    fn from(route: CanonicalRoute) -> Self {
        Self { host: route.host, path: route.path, port: u32::try_from(route.port).unwrap_or(0), strip: route.strip }
    }
}

impl From<CanonicalHealth> for HealthView {
    fn from(health: CanonicalHealth) -> Self {
        let (http, host, low, high) = match health.check {
            CanonicalCheck::Http { path, host, low, high } => (Some(path), host, low.into(), high.into()),
            CanonicalCheck::Tcp => (None, String::new(), 0, 0),
        };
        let port = u32::try_from(health.port).unwrap_or(0);
        Self { http, host, port, low, high, interval_ms: health.interval_ms, timeout_ms: health.timeout_ms }
    }
}

impl From<CanonicalTrigger> for TriggerView {
    fn from(trigger: CanonicalTrigger) -> Self {
        let CanonicalTrigger { hook, repo, branch, tag, image } = trigger;
        Self { hook, repo, branch, tag, image }
    }
}

impl From<CanonicalPolicy> for PolicyView {
    fn from(policy: CanonicalPolicy) -> Self {
        Self {
            gate_timeout_ms: Some(policy.gate_timeout_ms),
            liveness_ms: Some(policy.liveness_ms),
            drain_ms: Some(policy.drain_ms),
            bake_ms: Some(policy.bake_ms),
            standby_ms: Some(policy.standby_ms),
            stop_timeout_ms: Some(policy.stop_timeout_ms),
            stop_signal: Some(policy.stop_signal),
            keep_releases: u32::try_from(policy.keep_releases).ok(),
        }
    }
}
