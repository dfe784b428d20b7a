"""SQLAlchemy's two dialects for ClickHouse, unchanged, as the analyst: what Superset asks of them. FACTS as argument."""
import pandas
import sqlalchemy
from checks import check, facts, refused, same, verdict

relations, views = facts["relations"].split(","), facts["views"].split(",")
place = f"{facts['analyst_user']}:{facts['analyst_password']}@{facts['host']}:{facts['port']}/{facts['database']}"
for dialect in ("clickhousedb", "clickhouse+http"):
    engine = sqlalchemy.create_engine(f"{dialect}://{place}")

    def rows(statement, **binds):
        with engine.connect() as connection:
            return connection.execute(sqlalchemy.text(statement), binds).fetchall()

    @check(f"{dialect}: ping")
    def _():
        # Superset's test of a connection.
        connection = engine.raw_connection()
        assert engine.dialect.do_ping(connection.dbapi_connection)
        connection.close()

    @check(f"{dialect}: select")
    def _():
        same([tuple(map(int, row)) for row in rows("SELECT count(), countIf(status = 'failed') FROM transactions")],
             [(int(facts["transactions"]), int(facts["failed"]))])

    @check(f"{dialect}: UInt256")
    def _():
        same([tuple(map(int, row)) for row in rows("SELECT value, fee FROM transactions WHERE hash = :h", h=facts["rich_hash"])],
             [(int(facts["rich_value"]), int(facts["rich_fee"]))])

    @check(f"{dialect}: binds")
    def _():
        same(int(rows("SELECT count() FROM transactions WHERE network = :n AND status = :s", n=facts["network"], s="failed")[0][0]),
             int(facts["failed"]))

    @check(f"{dialect}: schemas")
    def _():
        names = sqlalchemy.inspect(engine).get_schema_names()
        assert "headwater" in names, names

    @check(f"{dialect}: tables")
    def _():
        names = sqlalchemy.inspect(engine).get_table_names("headwater")
        # One dialect lists views among the tables, the other beside them.
        assert set(names) in (set(relations), set(relations) - set(views)), names
        assert names, "none"

    @check(f"{dialect}: views")
    def _():
        same(sorted(sqlalchemy.inspect(engine).get_view_names("headwater")), views)

    @check(f"{dialect}: columns")
    def _():
        columns = sqlalchemy.inspect(engine).get_columns("transactions", schema="headwater")
        same(",".join(sorted(column["name"] for column in columns)), facts["columns"])
        types = {column["name"]: str(column["type"]) for column in columns}
        assert "UInt256" in types["value"] and "DateTime64" in types["block_timestamp"], types

    @check(f"{dialect}: has_table")
    def _():
        inspector = sqlalchemy.inspect(engine)
        same((inspector.has_table("blocks", schema="headwater"), inspector.has_table("nothing", schema="headwater")), (True, False))

    @check(f"{dialect}: keys and indexes")
    def _():
        inspector = sqlalchemy.inspect(engine)
        inspector.get_pk_constraint("blocks", schema="headwater")
        same((inspector.get_foreign_keys("blocks", schema="headwater"), inspector.get_indexes("blocks", schema="headwater")), ([], []))

    @check(f"{dialect}: reflect")
    def _():
        for view in views:
            assert len(sqlalchemy.Table(view, sqlalchemy.MetaData(), schema="headwater", autoload_with=engine).columns) > 5, view

    @check(f"{dialect}: a reflected table in a query")
    def _():
        table = sqlalchemy.Table("transactions", sqlalchemy.MetaData(), schema="headwater", autoload_with=engine)
        query = sqlalchemy.select(table.c.network, sqlalchemy.func.count()).where(table.c.status == "failed").group_by(table.c.network)
        with engine.connect() as connection:
            same([(row[0], int(row[1])) for row in connection.execute(query)], [(facts["network"], int(facts["failed"]))])

    @check(f"{dialect}: a chart by time")
    def _():
        # Superset's time grain, with its subquery and row limit.
        found = rows("SELECT toStartOfMinute(toDateTime(block_timestamp)) AS `__timestamp`, count(*) AS `n` FROM (SELECT * FROM headwater.transactions) "
                     "AS `virtual_table` WHERE `block_timestamp` >= toDateTime(:a) GROUP BY toStartOfMinute(toDateTime(block_timestamp)) "
                     "ORDER BY `n` DESC LIMIT 50000", a=int(facts["first_s"]))
        same(sum(int(row[1]) for row in found), int(facts["transactions"]))

    @check(f"{dialect}: pandas.read_sql")
    def _():
        same(len(pandas.read_sql("SELECT * FROM blocks", engine)), int(facts["blocks"]))

    @check(f"{dialect}: EXPLAIN")
    def _():
        plan = "\n".join(str(row[0]) for row in rows("EXPLAIN SELECT count() FROM transactions"))
        assert "ReadFromMergeTree" in plan, plan

    @check(f"{dialect}: functions for completion")
    def _():
        assert len(rows("SELECT name FROM system.functions UNION ALL SELECT name FROM system.table_functions")) > 1000

    @check(f"{dialect}: an insert is refused")
    def _():
        refused(lambda: rows("INSERT INTO blocks (number) VALUES (1)"), "497", "164")

verdict()
