//! What is said to a question: bytes in, bytes out.
//!
//! A name of the table gets an authoritative answer, also when it has no address of the kind that was asked for, or no
//! target at all: NOERROR without a record, with an SOA that lets it be remembered for a second. SERVFAIL would not do:
//! Docker's resolver then asks the host's resolvers, which deny that the name exists, for as long as they like.

use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, SOA};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use crate::config::NAME_TTL;

/// Bytes of a header: less is no message.
const HEADER: usize = 12;
/// Payload that is announced, bytes: fits one frame on every network.
const PAYLOAD: u16 = 1_232;
/// Refresh, retry and expire of a zone that nobody transfers, s.
const ZONE_TIMES: i32 = 60;

/// A question that can be answered or passed on.
#[derive(Debug)]
pub(super) struct Asked {
    message: Message,
    question: Query,
}

/// Reads a query.
///
/// # Errors
/// The bytes to send back; `None`: nothing is sent back.
pub(super) fn read(bytes: &[u8]) -> Result<Asked, Option<Vec<u8>>> {
    let Ok(message) = Message::from_vec(bytes) else { return Err(malformed(bytes)) };
    // An answer to an answer could go on for ever.
    if message.metadata.message_type != MessageType::Query {
        return Err(None);
    }
    if message.metadata.op_code != OpCode::Query {
        return Err(error(&message, ResponseCode::NotImp));
    }
    let [question] = message.queries.as_slice() else { return Err(error(&message, ResponseCode::FormErr)) };
    let question = question.clone();
    Ok(Asked { message, question })
}

impl Asked {
    /// The name, as it was asked for; `None` for a class in which the table has no names.
    pub(super) fn name(&self) -> Option<String> {
        (self.question.query_class() == DNSClass::IN).then(|| self.question.name().to_ascii())
    }

    /// The authoritative answer with those of the addresses that are of the kind asked for.
    pub(super) fn answer(&self, addresses: &[IpAddr]) -> Option<Vec<u8>> {
        let name = self.question.name();
        let wanted = |address: &IpAddr| match (self.question.query_type(), address) {
            (RecordType::A | RecordType::ANY, IpAddr::V4(v4)) => Some(RData::A(A(*v4))),
            (RecordType::AAAA | RecordType::ANY, IpAddr::V6(v6)) => Some(RData::AAAA(AAAA(*v6))),
            _ => None,
        };
        let record = |data| Record::from_rdata(name.clone(), NAME_TTL, data);
        let mut message = self.response(ResponseCode::NoError);
        message.metadata.authoritative = true;
        message.add_answers(addresses.iter().filter_map(wanted).map(record));
        if message.answers.is_empty() {
            message.add_authority(self.zone());
        }
        message.to_vec().ok()
    }

    /// Nobody knows: an authoritative no for a name without a dot, which no other server was to be asked for; SERVFAIL
    /// for any other, about which nothing can be said.
    pub(super) fn nobody_to_ask(&self) -> Option<Vec<u8>> {
        if self.question.name().num_labels() > 1 {
            return self.failed();
        }
        let mut message = self.response(ResponseCode::NXDomain);
        message.metadata.authoritative = true;
        message.add_authority(self.zone());
        message.to_vec().ok()
    }

    /// SERVFAIL: who asked may ask somebody else.
    pub(super) fn failed(&self) -> Option<Vec<u8>> {
        self.response(ResponseCode::ServFail).to_vec().ok()
    }

    fn response(&self, code: ResponseCode) -> Message {
        let mut message = response(&self.message, code);
        message.add_query(self.question.clone());
        if self.message.edns.is_some() {
            let mut edns = Edns::new();
            edns.set_max_payload(PAYLOAD);
            message.set_edns(edns);
        }
        message
    }

    /// Says how long "there is none" may be remembered.
    fn zone(&self) -> Record {
        let name = self.question.name().clone();
        let soa = SOA::new(name.clone(), Name::root(), 1, ZONE_TIMES, ZONE_TIMES, ZONE_TIMES, NAME_TTL);
        Record::from_rdata(name, NAME_TTL, RData::SOA(soa))
    }
}

fn response(query: &Message, code: ResponseCode) -> Message {
    let mut message = Message::response(query.metadata.id, query.metadata.op_code);
    message.metadata.recursion_desired = query.metadata.recursion_desired;
    message.metadata.recursion_available = true;
    message.metadata.response_code = code;
    message
}

fn error(query: &Message, code: ResponseCode) -> Option<Vec<u8>> {
    response(query, code).to_vec().ok()
}

/// FORMERR with the id, when there is one and it is no answer.
fn malformed(bytes: &[u8]) -> Option<Vec<u8>> {
    let is_query = bytes.len() >= HEADER && bytes[2] & 0x80 == 0;
    let id = u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]);
    let error = || Message::error_msg(id, OpCode::Query, ResponseCode::FormErr).to_vec().ok();
    is_query.then(error).flatten()
}

/// Whether a reply belongs to a query: id, direction and question. Servers that do not understand a query may leave
/// the question out.
pub(super) fn belongs(query: &[u8], reply: &[u8]) -> bool {
    if query.len() < HEADER || reply.len() < HEADER || query[..2] != reply[..2] || reply[2] & 0x80 == 0 {
        return false;
    }
    let questions = u16::from_be_bytes([reply[4], reply[5]]);
    let failed = reply[3] & 0x0f != 0;
    match (questions, question(query), question(reply)) {
        (0, ..) => failed,
        (_, Some(asked), Some(answered)) => asked.eq_ignore_ascii_case(answered),
        _ => false,
    }
}

/// The bytes of the first question: labels, type and class.
fn question(message: &[u8]) -> Option<&[u8]> {
    let mut at = HEADER;
    loop {
        let length = usize::from(*message.get(at)?);
        // A pointer has nothing before it to point to.
        if length & 0xc0 != 0 {
            return None;
        }
        at += 1 + length;
        if length == 0 {
            return message.get(HEADER..at + 4);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(name: &str, kind: RecordType) -> Vec<u8> {
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        message.to_vec().unwrap()
    }

    fn said(bytes: Option<Vec<u8>>) -> Message {
        Message::from_vec(&bytes.expect("an answer")).unwrap()
    }

    #[test]
    fn addresses_of_the_kind_asked_for_are_said_with_the_question_as_it_was() {
        let bytes = query("WeB.", RecordType::A);
        let asked = read(&bytes).unwrap();
        assert_eq!(asked.name().as_deref(), Some("WeB."));
        let answer = asked.answer(&["10.0.0.2".parse().unwrap(), "fd00::2".parse().unwrap()]).unwrap();
        assert!(belongs(&bytes, &answer));
        let answer = said(Some(answer));
        assert!(answer.metadata.authoritative && answer.metadata.recursion_available);
        let [record] = answer.answers.as_slice() else { panic!("{answer:?}") };
        assert_eq!((record.ttl, &record.data), (1, &RData::A(A::new(10, 0, 0, 2))));
        assert_eq!(answer.queries[0].name().to_ascii(), "WeB.");
    }

    #[test]
    fn a_known_name_without_an_address_is_no_error_and_may_be_remembered_for_a_second() {
        for (kind, addresses) in
            [(RecordType::AAAA, vec!["10.0.0.2"]), (RecordType::MX, vec!["10.0.0.2"]), (RecordType::A, vec![])]
        {
            let asked = read(&query("web.", kind)).unwrap();
            let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
            let answer = said(asked.answer(&addresses));
            assert_eq!((answer.metadata.response_code, answer.answers.len()), (ResponseCode::NoError, 0));
            let [zone] = answer.authorities.as_slice() else { panic!("{answer:?}") };
            let RData::SOA(soa) = &zone.data else { panic!("{zone:?}") };
            assert_eq!((zone.ttl, soa.minimum), (1, 1));
        }
    }

    #[test]
    fn the_longest_answer_fits_into_the_smallest_message() {
        let name = format!("{0}.{0}.{0}.{1}.", "w".repeat(63), "w".repeat(61));
        let asked = read(&query(&name, RecordType::A)).unwrap();
        let addresses = vec![IpAddr::from([10, 0, 0, 2]); crate::config::MAX_NAME_ANSWERS];
        let length = asked.answer(&addresses).unwrap().len();
        assert!(length <= 512, "{length}");
    }

    #[test]
    fn without_anybody_to_ask_only_a_name_without_a_dot_is_denied() {
        let code = |name| said(read(&query(name, RecordType::A)).unwrap().nobody_to_ask()).metadata.response_code;
        assert_eq!(code("nothing."), ResponseCode::NXDomain);
        assert_eq!(code("example.com."), ResponseCode::ServFail);
    }

    #[test]
    fn what_is_no_query_is_not_answered_or_refused() {
        let code = |bytes: &[u8]| read(bytes).unwrap_err().map(|bytes| said(Some(bytes)).metadata.response_code);
        let mut answer = query("web.", RecordType::A);
        answer[2] |= 0x80;
        assert_eq!(code(&answer), None);
        assert_eq!(code(b"short"), None);
        let good = query("web.", RecordType::A);
        assert_eq!(code(&good[..good.len() - 3]), Some(ResponseCode::FormErr));
        let mut two = Message::query();
        two.add_query(Query::query(Name::from_ascii("a.").unwrap(), RecordType::A));
        two.add_query(Query::query(Name::from_ascii("b.").unwrap(), RecordType::A));
        assert_eq!(code(&two.to_vec().unwrap()), Some(ResponseCode::FormErr));
        let mut notify = query("web.", RecordType::A);
        notify[2] |= 4 << 3;
        assert_eq!(code(&notify), Some(ResponseCode::NotImp));
    }

    #[test]
    fn a_reply_to_another_question_does_not_belong() {
        let ours = query("web.", RecordType::A);
        let reply = |name: &str, id: [u8; 2]| {
            let mut other = query(name, RecordType::A);
            other[..2].copy_from_slice(&id);
            other[2] |= 0x80;
            other
        };
        let id = [ours[0], ours[1]];
        assert!(belongs(&ours, &reply("WEB.", id)));
        assert!(!belongs(&ours, &reply("wab.", id)));
        assert!(!belongs(&ours, &reply("web.", [id[0], !id[1]])));
        assert!(!belongs(&ours, &ours));
        let mut bare = reply("web.", id)[..HEADER].to_vec();
        bare[5] = 0;
        assert!(!belongs(&ours, &bare));
        bare[3] |= 1;
        assert!(belongs(&ours, &bare));
        for end in 0..ours.len() {
            assert!(!belongs(&ours, &reply("web.", id)[..end]), "{end}");
        }
    }
}
