//! What the last failure of a tenant's database means, and what to do about it. Lanes and breakers keep a short
//! word, or the server's own code where it gave one.

use std::borrow::Cow;

/// A failure in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cause {
    /// What is wrong, as the rest of a sentence.
    pub what: Cow<'static, str>,
    /// What to do next, as a sentence of its own.
    pub next: &'static str,
}

/// The word for a server's code: SQLSTATE, an error number of MySQL or MariaDB, or one of SQLite. Words stand for
/// themselves.
fn word(code: &str) -> &str {
    match code {
        "28P01" | "28000" | "1045" | "1130" | "1251" | "1524" | "1698" | "1820" | "1862"
        | "2059" | "3118" | "4151" => "auth",
        "42501" | "1044" | "1142" | "1143" | "1227" | "1370" => "rights",
        "42P01" | "3F000" | "1051" | "1146" => "no_such_table",
        "42703" | "1054" | "sqlite-1" => "no_such_column",
        "55P03" | "40P01" | "1205" | "1213" | "sqlite-5" | "sqlite-6" => "locked",
        "57014" | "1317" | "1969" | "3024" | "sqlite-9" => "too_long",
        "53100" | "1021" | "1114" | "sqlite-13" => "disk_full",
        "25006" | "1290" | "1836" => "read_only",
        "3D000" | "1049" => "no_such_database",
        "53300" | "1040" | "1203" | "1226" => "full",
        "57P01" | "57P02" | "57P03" | "1053" | "1077" | "1079" => "not_ready",
        "08P01" => "protocol",
        "1158" | "1159" | "1160" | "1161" | "connect_timeout" => "timeout",
        code if code.starts_with("sqlite-") => "file",
        other => other,
    }
}

/// Words, what they say as the rest of a sentence, and what to do next.
const MEANINGS: &[(&str, &str, &str)] = &[
    (
        "resolve",
        "the host name does not resolve",
        "Ask the hospital whether its name changed, or look at this machine's resolver.",
    ),
    (
        "egress",
        "the address is not on the egress list",
        "If that is where it should be, add it to [egress] allow and restart.",
    ),
    (
        "refused",
        "the database refuses connections",
        "Ask the hospital whether its server is up and listens there.",
    ),
    (
        "timeout",
        "the database does not answer in time",
        "Check the connection: a firewall, a machine that is gone, or a database under load.",
    ),
    (
        "tls",
        "the certificate is not acceptable",
        "Check the connection: that says whether the certificate has expired, which the hospital has to mend, or comes \
         from a new authority, with which the connection is to be replaced.",
    ),
    (
        "auth",
        "the role or its password is refused",
        "Replace the connection with the role and password that count now; of a hospital made here, renew its password. \
         Where they were put right at the server instead, check the connection and reset the breaker.",
    ),
    (
        "rights",
        "the role lacks a right that it needs",
        "Have the hospital let its role connect and read the mapped tables again; its page says which are missing.",
    ),
    (
        "no_such_table",
        "a table that the mapping reads is not there",
        "Ask the hospital what it changed; have it undone, or publish a mapping for the schema as it is.",
    ),
    (
        "no_such_column",
        "a table or column that the mapping reads is not there",
        "Ask the hospital what it changed; have it undone, or publish a mapping for the schema as it is.",
    ),
    (
        "locked",
        "another program at the hospital keeps what is read locked",
        "Ask the hospital what runs on its database: an import, a schema change, or a session left open.",
    ),
    (
        "too_long",
        "a statement took too long and was cut off",
        "Look at the slow queries below, and ask the hospital whether an index or statistics are missing.",
    ),
    (
        "disk_full",
        "the server's disk is full",
        "Tell the hospital: what needs room on its server fails until there is some.",
    ),
    (
        "read_only",
        "the server takes no changes",
        "Ask the hospital whether that is a standby or closed on purpose; reading goes on.",
    ),
    (
        "no_such_database",
        "the database is not there",
        "Ask the hospital whether it was renamed or dropped; replace the connection if it was renamed.",
    ),
    (
        "full",
        "the server has no connection left for this role",
        "Lower this hospital's limit of connections, or have the role's raised.",
    ),
    ("not_ready", "the server is starting or shutting down", "Wait; it is tried again by itself."),
    (
        "protocol",
        "the server broke the connection off, or a pooler stands between",
        "Check the connection; name the server itself rather than a pooler.",
    ),
    (
        "hostile",
        "the server answers as no database of its kind does",
        "Find out what listens there before anything else.",
    ),
    (
        "file",
        "the database file cannot be opened",
        "See that it is a regular file below the gateway's folder and is whole.",
    ),
    (
        "wrong_server",
        "another server answers than the one registered",
        "Find out why; only then replace the connection, which accepts it.",
    ),
    (
        "silent",
        "the server fell silent in the middle of a statement",
        "Ask the hospital about its server and the network; it is tried again by itself.",
    ),
    (
        "hung",
        "a statement was cut off, and the server could not be reached to stop it",
        "Ask the hospital about its server and the network; it is tried again by itself.",
    ),
    (
        "lost",
        "a connection was lost in the middle of a statement",
        "Look whether it happens again; a firewall may forget idle connections.",
    ),
    (
        "io",
        "a connection was lost in the middle of a statement",
        "Look whether it happens again; a firewall may forget idle connections.",
    ),
    (
        "record",
        "its stored connection does not open",
        "Look at the log at once: the registry was changed by other means, or a key is gone.",
    ),
    (
        "unknown",
        "nobody wrote down why",
        "Check the connection, and look at the gateway's log for this moment.",
    ),
    ("internal", "the gateway itself failed", "Look at the gateway's log for this moment."),
];

/// What the code of a lane's last failure says, as the rest of a sentence.
pub fn failure(code: &str) -> String {
    of(code).what.into_owned()
}

/// What that word or code says.
pub(super) fn of(code: &str) -> Cause {
    let word = word(code);
    match MEANINGS.iter().find(|(known, ..)| *known == word) {
        Some((_, what, next)) => Cause { what: Cow::Borrowed(what), next },
        None => Cause {
            what: Cow::Owned(format!("the server refused it with code {word}")),
            next: "Check the connection, and ask the hospital what that code means to its server.",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::dial::DialClass;

    #[test]
    fn a_servers_own_code_says_the_same_as_the_word() {
        for (codes, said) in [
            (["28P01", "1045"], "password is refused"),
            (["3D000", "1049"], "the database is not there"),
            (["42501", "1142"], "lacks a right"),
            (["42P01", "1146"], "is not there"),
            (["55P03", "1205"], "locked"),
            (["53100", "1114"], "disk is full"),
            (["53300", "1040"], "no connection left"),
            (["57P03", "1053"], "starting or shutting down"),
            (["sqlite-14", "sqlite-10"], "file cannot be opened"),
        ] {
            for code in codes {
                assert!(of(code).what.contains(said), "{code}: {:?}", of(code));
            }
        }
        assert!(of("XX001").what.contains("code XX001"));
    }

    #[test]
    fn every_way_not_to_connect_has_words_of_its_own() {
        for class in [
            DialClass::Resolve,
            DialClass::Egress,
            DialClass::Refused,
            DialClass::Timeout,
            DialClass::Tls,
            DialClass::Auth,
            DialClass::NoSuchDatabase,
            DialClass::Full,
            DialClass::NotReady,
            DialClass::Protocol,
            DialClass::Hostile,
            DialClass::File,
            DialClass::Internal,
        ] {
            assert!(!of(class.as_str()).what.contains("code"), "{}", class.as_str());
        }
    }
}
