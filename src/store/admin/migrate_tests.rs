use super::*;

#[test]
fn every_file_is_a_migration_and_mysql_has_one_statement_each() {
    for (folder, engine) in
        [("postgres", Engine::Postgres), ("mysql", Engine::MySql), ("sqlite", Engine::Sqlite)]
    {
        let path = format!("{}/tenant-migrations/{folder}", env!("CARGO_MANIFEST_DIR"));
        let mut files: Vec<String> = std::fs::read_dir(path)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let schema = Schema::of(engine);
        let known: Vec<String> = schema.all().iter().map(|m| format!("{}.sql", m.name)).collect();
        assert_eq!(files, known);
        assert_eq!(schema.release(), 2);
        assert!(schema.all().windows(2).all(|two| two[0].version < two[1].version));
        if engine == Engine::MySql {
            for migration in schema.all() {
                assert!(migration.trace().is_some(), "{}", migration.name);
                let ends = migration.sql.matches(';').count();
                assert_eq!(ends, 1, "{} is not one statement", migration.name);
            }
        }
    }
}

/// A hospital's ledger holds these; whoever changes one shuts out every hospital that has it.
#[test]
fn what_was_given_out_once_keeps_its_checksum() {
    let mut all = String::new();
    for (folder, engine) in
        [("mysql", Engine::MySql), ("postgres", Engine::Postgres), ("sqlite", Engine::Sqlite)]
    {
        for migration in Schema::of(engine).all() {
            let line = format!("{folder} {} {}\n", migration.name, migration.checksum());
            all.push_str(&line);
        }
    }
    assert_eq!(all, include_str!("../../../tenant-migrations/CHECKSUMS"));
}

#[test]
fn a_release_is_whole_or_the_one_before_is_it() {
    let schema = Schema::of(Engine::Postgres);
    let after = |count: usize| {
        let pending = schema.all()[count..].to_vec();
        Standing { pending, ..Standing::default() }.release(schema)
    };
    assert_eq!([after(0), after(1), after(2), after(3), after(4)], [0, 0, 1, 1, 2]);
}
