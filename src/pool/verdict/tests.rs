use super::*;

use Family::{Availability, CallerValue, Mapping, Neutral};

#[test]
fn every_sqlstate_of_the_table_has_its_family() {
    for (state, family, verdict) in [
        ("22P02", CallerValue, Verdict::Healthy),
        ("22003", CallerValue, Verdict::Healthy),
        ("22021", CallerValue, Verdict::Healthy),
        ("23505", CallerValue, Verdict::Healthy),
        ("42P01", Mapping, Verdict::Healthy),
        ("42703", Mapping, Verdict::Healthy),
        ("42501", Mapping, Verdict::Healthy),
        ("42601", Mapping, Verdict::Healthy),
        ("42883", Mapping, Verdict::Healthy),
        ("25006", Mapping, Verdict::Healthy),
        ("3F000", Mapping, Verdict::Healthy),
        ("0A000", Mapping, Verdict::Healthy),
        ("54001", Mapping, Verdict::Healthy),
        ("P0001", Mapping, Verdict::Healthy),
        ("08000", Availability, Verdict::Unhealthy),
        ("08006", Availability, Verdict::Unhealthy),
        ("57P01", Availability, Verdict::Unhealthy),
        ("57P02", Availability, Verdict::Unhealthy),
        ("57P03", Availability, Verdict::Unhealthy),
        ("57P04", Availability, Verdict::Unhealthy),
        ("53300", Availability, Verdict::Unhealthy),
        ("53100", Neutral, Verdict::Neutral),
        ("53400", Neutral, Verdict::Neutral),
        ("58030", Availability, Verdict::Unhealthy),
        ("XX000", Availability, Verdict::Unhealthy),
        ("3D000", Availability, Verdict::Unhealthy),
        ("28P01", Availability, Verdict::AuthRefused),
        ("28000", Availability, Verdict::AuthRefused),
        ("57014", Neutral, Verdict::Neutral),
        ("40001", Neutral, Verdict::Neutral),
        ("40P01", Neutral, Verdict::Neutral),
        ("55P03", Neutral, Verdict::Neutral),
        ("25P03", Neutral, Verdict::Neutral),
        ("26000", Neutral, Verdict::Neutral),
        ("ZZ999", Neutral, Verdict::Neutral),
    ] {
        let error = postgres(state);
        assert_eq!((error.family, error.verdict()), (family, verdict), "{state}");
        assert_eq!(error.code, state);
    }
}

#[test]
fn every_mysql_number_of_the_table_has_its_family() {
    for (number, family, verdict) in [
        (1267, CallerValue, Verdict::Healthy),
        (1366, CallerValue, Verdict::Healthy),
        (1062, CallerValue, Verdict::Healthy),
        (1264, CallerValue, Verdict::Healthy),
        (1292, CallerValue, Verdict::Healthy),
        (1406, CallerValue, Verdict::Healthy),
        (1146, Mapping, Verdict::Healthy),
        (1139, Mapping, Verdict::Healthy),
        (1153, Mapping, Verdict::Healthy),
        (1665, Mapping, Verdict::Healthy),
        (1054, Mapping, Verdict::Healthy),
        (1142, Mapping, Verdict::Healthy),
        (1449, Mapping, Verdict::Healthy),
        (1356, Mapping, Verdict::Healthy),
        (1116, Mapping, Verdict::Healthy),
        (1064, Mapping, Verdict::Healthy),
        (1792, Mapping, Verdict::Healthy),
        (1040, Availability, Verdict::Unhealthy),
        (1045, Availability, Verdict::AuthRefused),
        (1698, Availability, Verdict::AuthRefused),
        (1820, Availability, Verdict::AuthRefused),
        (1049, Availability, Verdict::Unhealthy),
        (1053, Availability, Verdict::Unhealthy),
        (1129, Availability, Verdict::Unhealthy),
        (1130, Availability, Verdict::Unhealthy),
        (1203, Availability, Verdict::Unhealthy),
        (1226, Availability, Verdict::Unhealthy),
        (1969, Neutral, Verdict::Neutral),
        (2020, Neutral, Verdict::Neutral),
        (3024, Neutral, Verdict::Neutral),
        (1317, Neutral, Verdict::Neutral),
        (1205, Neutral, Verdict::Neutral),
        (1213, Neutral, Verdict::Neutral),
        (1021, Neutral, Verdict::Neutral),
        (1114, Neutral, Verdict::Neutral),
        (9999, Neutral, Verdict::Neutral),
    ] {
        let error = mysql(number);
        assert_eq!((error.family, error.verdict()), (family, verdict), "{number}");
        assert_eq!(error.code, number.to_string());
    }
    for number in 2002..=2013 {
        assert_eq!(mysql(number).verdict(), Verdict::Unhealthy, "{number}");
    }
}

#[test]
fn every_sqlite_code_of_the_table_has_its_family() {
    for (code, family) in [
        (19, CallerValue),
        (20, CallerValue),
        (1, Mapping),
        (8, Mapping),
        (1544, Mapping),
        (264, Availability),
        (776, Availability),
        (1032, Availability),
        (13, Neutral),
        (23, Mapping),
        (10, Availability),
        (0x0d0a, Availability),
        (11, Availability),
        (14, Availability),
        (26, Availability),
        (5, Neutral),
        (6, Neutral),
        (9, Neutral),
        (-1, Neutral),
    ] {
        assert_eq!(sqlite(code).family, family, "{code}");
    }
    assert!(sqlite(9).is_statement_limit());
}

#[test]
fn errors_without_a_server_have_a_family_too() {
    let io = sqlx::Error::Io(std::io::Error::other("secret"));
    for (error, family, code) in [
        (io, Availability, "io"),
        (sqlx::Error::Protocol("secret".to_owned()), Availability, "protocol"),
        (sqlx::Error::Tls("secret".into()), Availability, "tls"),
        (sqlx::Error::WorkerCrashed, Availability, "worker"),
        (sqlx::Error::RowNotFound, CallerValue, "no_row"),
        (sqlx::Error::Decode("secret".into()), Mapping, "decode"),
        (sqlx::Error::ColumnNotFound("secret".to_owned()), Mapping, "column"),
        (sqlx::Error::TypeNotFound { type_name: "secret".to_owned() }, Mapping, "type"),
        (sqlx::Error::PoolClosed, Neutral, "driver"),
    ] {
        let db = classify(&error);
        assert_eq!((db.family, &*db.code), (family, code));
        assert!(!format!("{db} {db:?}").contains("secret"));
    }
}

#[test]
fn a_made_up_sqlstate_is_not_repeated() {
    for bad in ["", "42", "42P011", "<b>xx", "ab\nde"] {
        assert_eq!(postgres(bad).code, "protocol", "{bad}");
    }
}

#[test]
fn a_connection_survives_harmless_errors_only() {
    for usable in [postgres("42P01"), postgres("22P02"), postgres("57014"), mysql(1146), sqlite(5)]
    {
        assert!(usable.leaves_connection_usable(), "{usable}");
    }
    for lost in [
        postgres("57P01"),
        postgres("25P03"),
        mysql(1153),
        mysql(1927),
        mysql(2013),
        sqlite(10),
        sqlite(13),
    ] {
        assert!(!lost.leaves_connection_usable(), "{lost}");
    }
}

#[tokio::test]
async fn a_real_sqlite_error_loses_its_text() {
    use sqlx::Connection as _;
    let mut connection = sqlx::SqliteConnection::connect("sqlite::memory:").await.unwrap();
    let error =
        sqlx::query("SELECT secret FROM nowhere").execute(&mut connection).await.unwrap_err();
    assert_eq!(classify(&error), DbError::new(Mapping, "sqlite-1"));
}
