// clickhouse-jdbc, unchanged, as the analyst: what DBeaver, DataGrip and Metabase load. FACTS, a file of `name=value` lines with
// addresses, passwords and what the stages' user read, is the argument. Ends with 1 when a check failed.
import java.io.BufferedReader;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.*;
import java.util.*;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;

class JdbcClient {
    static final Map<String, String> facts = new HashMap<>();
    static int passed, failed;

    interface Step {
        void run() throws Exception;
    }

    static void check(String name, Step step) {
        try {
            step.run();
            passed++;
            System.out.println("ok " + name);
        } catch (Exception | AssertionError e) {
            failed++;
            var why = String.valueOf(e);
            System.out.println("FAIL " + name + ": " + why.substring(0, Math.min(600, why.length())).replace('\n', ' '));
        }
    }

    static void same(Object got, Object want) {
        if (!Objects.equals(got, want)) throw new AssertionError("got " + got + ", want " + want);
    }

    static void that(boolean holds, Object found) {
        if (!holds) throw new AssertionError("got " + found);
    }

    static String fact(String name) {
        return Objects.requireNonNull(facts.get(name), "no fact " + name);
    }

    static Connection connect(String user) throws SQLException {
        var properties = new Properties();
        properties.put("user", fact(user + "_user"));
        properties.put("password", fact(user + "_password"));
        return DriverManager.getConnection("jdbc:clickhouse://" + fact("host") + ":" + fact("port") + "/" + fact("database"), properties);
    }

    /** A column of every row, sorted. */
    static String column(ResultSet rows, int index) throws SQLException {
        var found = new ArrayList<String>();
        while (rows.next()) found.add(rows.getString(index));
        return found.stream().sorted().collect(Collectors.joining(","));
    }

    /** How many rows; every value of each is read. */
    static int count(ResultSet rows) throws SQLException {
        int count = 0, columns = rows.getMetaData().getColumnCount();
        for (; rows.next(); count++)
            for (int i = 1; i <= columns; i++) rows.getObject(i);
        return count;
    }

    public static void main(String[] arguments) throws Exception {
        try (BufferedReader lines = Files.newBufferedReader(Path.of(arguments[0]))) {
            lines.lines().forEach(line -> facts.put(line.substring(0, line.indexOf('=')), line.substring(line.indexOf('=') + 1)));
        }
        try (var connection = connect("analyst")) {
            metadata(connection);
            values(connection);
            statements(connection);
            browsing(connection);
        } catch (SQLException e) {
            check("connect", () -> { throw e; });
        }
        System.out.println(passed + " passed, " + failed + " failed");
        System.exit(failed > 0 ? 1 : 0);
    }

    /** What a tool asks when it connects, and for its tree of objects. */
    static void metadata(Connection connection) throws SQLException {
        var data = connection.getMetaData();
        check("isValid", () -> same(connection.isValid(5), true));
        check("product", () -> {
            same(data.getDatabaseProductName(), "ClickHouse");
            same(data.getDatabaseProductVersion(), fact("version"));
        });
        check("catalogs", () -> that(count(data.getCatalogs()) >= 0, "nothing"));
        check("schemas", () -> {
            var names = List.of(column(data.getSchemas(), 1).split(","));
            that(names.contains("headwater"), names);
        });
        check("table types", () -> {
            var types = List.of(column(data.getTableTypes(), 1).split(","));
            that(types.contains("TABLE") && types.contains("VIEW"), types);
        });
        check("tables", () -> same(column(data.getTables(null, "headwater", "%", null), 3), fact("relations")));
        check("views", () -> same(column(data.getTables(null, "headwater", "%", new String[] {"VIEW"}), 3), fact("views")));
        check("tables of all schemas", () -> {
            var names = List.of(column(data.getTables(null, null, "%", null), 3).split(","));
            that(names.contains("transactions"), names);
        });
        check("columns", () -> same(column(data.getColumns(null, "headwater", "transactions", "%"), 4), fact("columns")));
        check("a column's type", () -> {
            var rows = data.getColumns(null, "headwater", "transactions", "value");
            that(rows.next(), "nothing");
            same(rows.getString("TYPE_NAME"), "UInt256");
            same(rows.getInt("NULLABLE"), DatabaseMetaData.columnNoNulls);
        });
        check("primary keys", () -> that(count(data.getPrimaryKeys(null, "headwater", "block_rows")) > 0, "none"));
        check("indexes", () -> that(count(data.getIndexInfo(null, "headwater", "block_rows", false, false)) >= 0, "nothing"));
        check("imported keys", () -> same(count(data.getImportedKeys(null, "headwater", "blocks")), 0));
        check("exported keys", () -> same(count(data.getExportedKeys(null, "headwater", "blocks")), 0));
        check("functions", () -> that(count(data.getFunctions(null, null, "%")) > 1000, "too few"));
        check("procedures", () -> same(count(data.getProcedures(null, null, "%")), 0));
        check("types", () -> that(column(data.getTypeInfo(), 1).contains("UInt256"), "no UInt256"));
    }

    static void values(Connection connection) throws SQLException {
        var statement = connection.createStatement();
        check("UInt256 and DateTime64", () -> {
            var rows = statement.executeQuery("SELECT value, fee, block_timestamp FROM transactions WHERE hash = '" + fact("rich_hash") + "'");
            that(rows.next(), "nothing");
            same(rows.getObject(1), new BigInteger(fact("rich_value")));
            same(rows.getBigDecimal(1), new BigDecimal(fact("rich_value")));
            same(rows.getString(2), fact("rich_fee"));
            same(rows.getTimestamp(3, Calendar.getInstance(TimeZone.getTimeZone("UTC"))).getTime(), Long.parseLong(fact("rich_time_ms")));
            same(rows.getObject(3, java.time.ZonedDateTime.class).toInstant().toEpochMilli(), Long.parseLong(fact("rich_time_ms")));
        });
        check("the largest UInt256", () -> {
            var largest = BigInteger.TWO.pow(256).subtract(BigInteger.ONE);
            var rows = statement.executeQuery("SELECT toUInt256('" + largest + "')");
            that(rows.next(), "nothing");
            same(rows.getObject(1), largest);
        });
        check("Nullable", () -> {
            var rows = statement.executeQuery("SELECT CAST(NULL AS Nullable(UInt256)), CAST(7 AS Nullable(Int32))");
            that(rows.next(), "nothing");
            same(rows.getObject(1), null);
            that(rows.wasNull(), "not null");
            same(rows.getInt(2), 7);
        });
        check("Array", () -> {
            var rows = statement.executeQuery("SELECT topics FROM evm_logs WHERE transaction_hash = '" + fact("log_transaction")
                    + "' AND log_index = " + fact("log_index"));
            that(rows.next(), "nothing");
            same(String.join(",", Arrays.stream((Object[]) rows.getArray(1).getArray()).map(String::valueOf).toList()), fact("log_topics"));
        });
        for (var view : fact("views").split(","))
            check("all of " + view, () -> {
                // The chain here is of the other family.
                var found = count(statement.executeQuery("SELECT * FROM " + view + " LIMIT 200"));
                that(found > 0 || view.startsWith("bitcoin_"), "nothing");
            });
        check("300,000 rows", () -> same(count(statement.executeQuery("SELECT number, toString(number) FROM numbers(300000)")), 300000));
        check("an error says which", () -> {
            try {
                statement.executeQuery("SELECT nope FROM blocks");
                throw new AssertionError("it ran");
            } catch (SQLException e) {
                that(e.getMessage().contains("nope"), e.getMessage());
            }
        });
        check("an insert is refused", () -> {
            try {
                statement.executeUpdate("INSERT INTO blocks (number) VALUES (1)");
                throw new AssertionError("it ran");
            } catch (SQLException e) {
                that(e.getErrorCode() == 497 || e.getErrorCode() == 164, e);
            }
        });
    }

    static void statements(Connection connection) throws SQLException {
        check("prepared", () -> {
            try (var prepared = connection.prepareStatement("SELECT count() FROM transactions WHERE network = ? AND block_timestamp < ? AND status IN (?, ?)")) {
                prepared.setString(1, fact("network"));
                prepared.setTimestamp(2, new Timestamp(System.currentTimeMillis() + 86_400_000));
                prepared.setString(3, "failed");
                prepared.setString(4, "it's not there");
                var rows = prepared.executeQuery();
                that(rows.next(), "nothing");
                same(rows.getString(1), fact("failed"));
            }
        });
        check("prepared, its columns", () -> {
            var columns = connection.prepareStatement("SELECT number, hash FROM blocks WHERE number = ?").getMetaData();
            same(columns.getColumnCount(), 2);
            same(columns.getColumnName(2), "hash");
        });
        check("setMaxRows", () -> {
            try (var statement = connection.createStatement()) {
                statement.setMaxRows(10);
                same(count(statement.executeQuery("SELECT hash FROM transactions")), 10);
            }
        });
        check("setQueryTimeout", () -> {
            try (var statement = connection.createStatement()) {
                statement.setQueryTimeout(20);
                same(count(statement.executeQuery("SELECT 1")), 1);
            }
        });
        check("cancel ends the statement on the server", () -> cancel(connection));
        check("EXPLAIN", () -> {
            var plan = column(connection.createStatement().executeQuery("EXPLAIN SELECT count() FROM transactions"), 1);
            that(plan.contains("ReadFromMergeTree"), plan);
        });
        check("SHOW CREATE TABLE", () -> {
            var text = column(connection.createStatement().executeQuery("SHOW CREATE TABLE headwater.blocks"), 1);
            that(text.startsWith("CREATE VIEW headwater.blocks"), text);
        });
        check("setSchema", () -> {
            connection.setSchema("headwater");
            same(connection.getSchema(), "headwater");
            same(column(connection.createStatement().executeQuery("SELECT count() FROM blocks"), 1), fact("blocks"));
        });
        check("USE", () -> {
            try (var statement = connection.createStatement()) {
                statement.execute("USE headwater");
                same(column(statement.executeQuery("SELECT count() FROM blocks"), 1), fact("blocks"));
            }
        });
    }

    /** `cancel` is KILL QUERY from another connection; the stages' user sees what runs. */
    static void cancel(Connection connection) throws Exception {
        try (var witness = connect("stages"); var statement = connection.createStatement()) {
            statement.setQueryTimeout(50);
            var answer = CompletableFuture.supplyAsync(() -> {
                try {
                    count(statement.executeQuery(
                            "SELECT count() AS ended_by_java FROM numbers(300000) AS a, numbers(300000) AS b WHERE sipHash64(a.number, b.number) = 1"));
                    return "it ran to its end";
                } catch (SQLException e) {
                    return "";
                }
            });
            until(witness, 1, 20_000);
            statement.cancel();
            until(witness, 0, 3_000);
            same(answer.get(), "");
        }
    }

    static void until(Connection witness, int want, long patience) throws Exception {
        for (var end = System.currentTimeMillis() + patience; ; Thread.sleep(50)) {
            var rows = witness.createStatement().executeQuery(
                    "SELECT count() FROM system.processes WHERE query LIKE '%ended_by_java%' AND query NOT LIKE '%system.processes%'");
            rows.next();
            if (rows.getInt(1) == want) return;
            that(System.currentTimeMillis() < end, rows.getInt(1) + " statements run after " + patience + " ms, not " + want);
        }
    }

    /** What the tools ask the system's tables; some have nothing to show, all answer. */
    static void browsing(Connection connection) throws SQLException {
        var statement = connection.createStatement();
        for (var table : List.of("parts", "dictionaries", "data_skipping_indices", "projections", "collations", "macros", "clusters"))
            check("system." + table, () -> that(count(statement.executeQuery("SELECT * FROM system." + table)) >= 0, "nothing"));
        for (var table : List.of("table_engines", "data_type_families", "functions", "settings", "databases", "tables", "columns"))
            check("system." + table, () -> that(count(statement.executeQuery("SELECT * FROM system." + table)) > 0, "nothing"));
        check("sizes of tables", () -> {
            var rows = statement.executeQuery("SELECT sum(rows), sum(bytes_on_disk) FROM system.parts WHERE database = 'headwater' AND table = 'evm_transaction_rows' AND active");
            that(rows.next() && rows.getLong(1) >= Long.parseLong(fact("transactions")) && rows.getLong(2) > 0, rows.getLong(1) + " rows");
        });
        for (var table : List.of("key_column_usage", "referential_constraints", "statistics"))
            check("information_schema." + table, () -> that(count(statement.executeQuery("SELECT * FROM information_schema." + table)) >= 0, "nothing"));
        check("information_schema.tables", () -> same(column(statement.executeQuery(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'headwater'"), 1), fact("relations")));
        check("information_schema.columns", () -> same(column(statement.executeQuery(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = 'headwater' AND table_name = 'transactions'"), 1), fact("columns")));
    }
}
