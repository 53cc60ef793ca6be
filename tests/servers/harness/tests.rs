use super::*;

#[tokio::test]
async fn a_postgres_database_is_its_owners_alone_and_goes_with_its_value() {
    let one = Postgres::database().await;
    let other = Postgres::database().await;
    one.execute("CREATE TABLE note (text text); INSERT INTO note VALUES ('kept')").await;

    let text: String = sqlx::query_scalar("SELECT text FROM note")
        .fetch_one(&mut one.postgres().await)
        .await
        .unwrap();
    assert_eq!(text, "kept");

    let stranger = PgConnectOptions::new_without_pgpass()
        .host(&one.server.host)
        .port(one.server.port)
        .username(&other.user)
        .password(&other.password)
        .database(&one.name)
        .connect()
        .await;
    let refusal = stranger.unwrap_err().into_database_error().unwrap();
    assert_eq!(refusal.code().as_deref(), Some("42501"), "no right to connect");

    // A session that is still open does not keep the database alive.
    let _still_open = one.postgres().await;
    let name = one.name.clone();
    drop(one);
    let left: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM pg_database WHERE datname = $1) \
         + (SELECT count(*) FROM pg_roles WHERE rolname = $1)",
    )
    .bind(&name)
    .fetch_one(&mut Postgres::admin().await)
    .await
    .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_mariadb_database_is_its_owners_alone_and_goes_with_its_value() {
    let one = MariaDb::database().await;
    let other = MariaDb::database().await;
    one.execute("CREATE TABLE note (text text); INSERT INTO note VALUES ('kept')").await;

    let mut stranger = other.mariadb().await;
    let refusal = sqlx::raw_sql(&format!("SELECT * FROM {}.note", one.name))
        .execute(&mut stranger)
        .await
        .unwrap_err();
    assert_eq!(refusal.into_database_error().unwrap().code().as_deref(), Some("42000"));

    // An open transaction that has read the table would block a plain drop for ever.
    let mut open = one.mariadb().await;
    sqlx::raw_sql("START TRANSACTION; SELECT * FROM note").execute(&mut open).await.unwrap();
    let name = one.name.clone();
    drop(one);
    let left: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM information_schema.schemata WHERE schema_name = ?) \
         + (SELECT count(*) FROM mysql.global_priv WHERE user = ?)",
    )
    .bind(&name)
    .bind(&name)
    .fetch_one(&mut MariaDb::admin().await)
    .await
    .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn the_record_names_the_database_and_the_wrong_name_certificate_is_another() {
    for database in [Postgres::database().await, MariaDb::database().await] {
        let ConnectionRecord::Server(record) = database.record() else { panic!("a server record") };
        assert_eq!((record.engine, record.port), (database.engine, database.server.port));
        let (chain, key) = wrong_name_certificate();
        assert!(chain.contains("BEGIN CERTIFICATE") && key.contains("PRIVATE KEY"));
        assert_ne!(chain, database.ca_pem);
    }
}

#[tokio::test]
async fn keycloak_gives_tokens_of_the_shipped_and_the_hostile_realm() {
    let keycloak = Keycloak::from_env();
    for (realm, user) in [("hospitals", "reader.north"), ("hostile", "wanderer")] {
        let token = keycloak.user_token(realm, "ward-cli", user).await;
        assert_eq!(token.split('.').count(), 3, "a signed token");
    }
}
