//! The twin of the proxy: the same contract, over a [`World`](crate::adapters::world::World).

use std::net::{IpAddr, Ipv4Addr};

use async_trait::async_trait;
use cutover_events::{RouterBoot, UnitId, WorkloadId};
use cutover_proxy::wire::{
    Drain, Entry, Fence, Gateway, Names, Place, Put, PutRefused, RefusedCode, Table, TargetStatus, Witness,
};

use super::{Router, RouterError};
use crate::adapters::world::{Answer, Refusal, Request, Route, RouteText, Shared, Twin, Units};

/// The process id that the table names: no process of the host is meant.
const PID: u32 = 1;

/// The proxy, in memory.
#[derive(Clone, Debug)]
pub struct MemoryRouter {
    twin: Shared,
}

impl MemoryRouter {
    /// Over a world that the other in-memory adapters share.
    #[must_use]
    pub fn new(twin: Shared) -> Self {
        Self { twin }
    }
}

fn refused(code: RefusedCode, text: impl Into<String>) -> RouterError {
    RouterError::Refused(PutRefused { code, text: text.into() })
}

/// As the proxy says it over its socket.
fn code_of(refusal: Refusal) -> RefusedCode {
    match refusal {
        Refusal::RouterBoot => RefusedCode::RouterBoot,
        Refusal::WriterEpoch => RefusedCode::WriterEpoch,
        Refusal::Generation => RefusedCode::Generation,
        Refusal::Probe => RefusedCode::Probe,
    }
}

fn away() -> RouterError {
    RouterError::Unavailable("the answer was lost".to_owned())
}

fn parse<T: std::str::FromStr<Err = cutover_events::BadId>>(text: &str) -> Result<T, RouterError> {
    text.parse().map_err(|bad: cutover_events::BadId| refused(RefusedCode::Invalid, bad.to_string()))
}

/// The first write claims the table.
fn owner(twin: &Twin) -> Option<String> {
    twin.world.routes().find_map(|route| twin.route_texts.get(&route.workload)).map(|text| text.log.clone())
}

fn newest_witness(twin: &Twin) -> Option<Witness> {
    let texts = twin.world.routes().filter_map(|route| twin.route_texts.get(&route.workload));
    texts.map(|text| &text.witness).max_by_key(|witness| witness.position).cloned()
}

fn check_there(twin: &Twin) -> Result<(), RouterError> {
    let there = twin.world.router_answers();
    there.then_some(()).ok_or_else(|| RouterError::Unavailable("the proxy is not there".to_owned()))
}

fn check_writer(twin: &Twin, log: &str, request: Request) -> Result<(), RouterError> {
    check_there(twin)?;
    if let Some(own) = owner(twin).filter(|own| own != log) {
        return Err(refused(RefusedCode::OtherLog, format!("this table belongs to {own}")));
    }
    twin.world.refusal(request).map_or(Ok(()), |why| Err(refused(code_of(why), format!("refused: {why:?}"))))
}

fn check_claims(twin: &Twin, workload: WorkloadId, put: &Put) -> Result<(), RouterError> {
    let others = twin.world.routes().map(|route| route.workload).filter(|other| *other != workload);
    let others: Vec<_> = others.filter_map(|other| twin.route_texts.get(&other)).collect();
    for text in &others {
        if let Some(name) = shared_name(text.names.as_ref(), put.names.as_ref()) {
            return Err(refused(RefusedCode::Claimed, format!("the name {name} belongs to another workload")));
        }
    }
    for route in others.iter().flat_map(|text| &text.routes) {
        if put.routes.iter().any(|wanted| wanted.host == route.host && wanted.path == route.path) {
            let text = format!("{}{} belongs to another workload", route.host, route.path);
            return Err(refused(RefusedCode::Claimed, text));
        }
    }
    Ok(())
}

fn shared_name<'a>(theirs: Option<&'a Names>, ours: Option<&Names>) -> Option<&'a str> {
    let (theirs, ours) = (theirs?, ours?);
    let same = theirs.gateway == ours.gateway;
    theirs.names.iter().find(|name| same && ours.names.contains(*name)).map(String::as_str)
}

/// Every gateway with names; those of a twin are always answered.
fn gateways(twin: &Twin) -> Vec<Gateway> {
    let names = twin.world.routes().filter_map(|route| twin.route_texts.get(&route.workload)?.names.as_ref());
    let mut addresses: Vec<_> = names.map(|names| names.gateway).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.into_iter().map(|address| Gateway { address, problem: None }).collect()
}

fn effect(twin: &mut Twin, request: Request) -> Result<(), RouterError> {
    match twin.effect(request).ok_or_else(away)? {
        Answer::Done => Ok(()),
        Answer::Unavailable => Err(RouterError::Unavailable("the proxy is not there".to_owned())),
        Answer::Refused(why) => Err(refused(code_of(why), format!("refused: {why:?}"))),
        other => Err(refused(RefusedCode::Invalid, format!("{other:?}"))),
    }
}

fn status(twin: &Twin, unit: UnitId) -> TargetStatus {
    let address = twin.details.get(&unit).map_or(Ipv4Addr::UNSPECIFIED, |details| details.create.address);
    let in_flight = u64::from(twin.world.open_to_target(unit));
    TargetStatus { unit: unit.to_string(), place: Place::Address(IpAddr::V4(address)), in_flight, upgraded: 0 }
}

fn entry(twin: &Twin, route: &Route) -> Entry {
    let text = twin.route_texts.get(&route.workload);
    let drains = twin.world.drains().filter(|drain| drain.workload == route.workload);
    let draining = drains.map(|drain| Drain {
        unit: drain.unit.to_string(),
        in_flight: u64::from(drain.open),
        upgraded: 0,
        done: drain.done,
        cut_requests: drain.cut.requests,
        cut_upgraded: drain.cut.upgraded,
        cut_streams: drain.cut.streams,
    });
    Entry {
        workload: route.workload.to_string(),
        name: text.map_or_else(|| route.workload.to_string(), |text| text.name.clone()),
        generation: route.generation,
        routes: text.map(|text| text.routes.clone()).unwrap_or_default(),
        names: text.and_then(|text| text.names.clone()),
        targets: route.targets.iter().map(|unit| status(twin, unit)).collect(),
        draining: draining.collect(),
    }
}

#[async_trait]
impl Router for MemoryRouter {
    async fn table(&self) -> Result<Table, RouterError> {
        let twin = self.twin.lock();
        check_there(&twin)?;
        Ok(Table {
            router_boot: twin.world.router_boot().to_string(),
            pid: PID,
            log: owner(&twin),
            witness: newest_witness(&twin),
            listen: Vec::new(),
            gateways: gateways(&twin),
            entries: twin.world.routes().map(|route| entry(&twin, route)).collect(),
        })
    }

    async fn put(&self, put: &Put) -> Result<(), RouterError> {
        let mut twin = self.twin.lock();
        let workload: WorkloadId = parse(&put.workload)?;
        let boot: RouterBoot = parse(&put.router_boot)?;
        let units = put.targets.iter().map(|target| parse(&target.unit)).collect::<Result<Vec<UnitId>, _>>()?;
        let to = Units::of(&units).map_err(|many| refused(RefusedCode::Invalid, many.to_string()))?;
        let request = Request::Put { workload, to, generation: put.generation, boot, epoch: put.writer_epoch };
        check_writer(&twin, &put.log, request)?;
        check_claims(&twin, workload, put)?;
        let text = RouteText {
            name: put.name.clone(),
            routes: put.routes.clone(),
            names: put.names.clone(),
            log: put.log.clone(),
            witness: put.witness.clone(),
            probed: put.probe.is_some(),
        };
        twin.sent_texts.insert((workload, put.generation), text);
        effect(&mut twin, request)
    }

    async fn fence(&self, fence: &Fence) -> Result<(), RouterError> {
        let mut twin = self.twin.lock();
        let workload: WorkloadId = parse(&fence.workload)?;
        let boot: RouterBoot = parse(&fence.router_boot)?;
        let request = Request::Fence { workload, generation: fence.generation, boot, epoch: fence.writer_epoch };
        check_writer(&twin, &fence.log, request)?;
        effect(&mut twin, request)
    }
}
