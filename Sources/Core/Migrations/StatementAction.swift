/// What a statement does, as far as locks, data and the previous version of an application are concerned.
public enum StatementAction: Sendable, Hashable {
    /// `CREATE TABLE`
    case createTable(TableDefinition)
    /// `CREATE TABLE … AS`, `SELECT … INTO`, `CREATE MATERIALIZED VIEW`
    case createTableAs(TableQuery)
    /// `ALTER TABLE`
    case alterTable(RelationName, [TableChange])
    /// `CREATE INDEX`
    case createIndex(IndexDefinition)
    /// `DROP …`
    case drop(DropOrder)
    /// `DROP DATABASE`, `DROP OWNED`, `DROP ROLE` and the like: what, as SQL says it.
    case dropWhole(String)
    /// `TRUNCATE`
    case truncate([RelationName], cascades: Bool)
    /// `ALTER … RENAME`; the relation is the table of a column or constraint.
    case rename(ObjectKind, of: RelationName?, from: String, to: String)
    /// `ALTER … SET SCHEMA`
    case move(ObjectKind, RelationName?, to: String)
    /// `REINDEX`; the relation is nil for a schema or database.
    case reindex(ObjectKind, RelationName?, concurrently: Bool)
    /// `CLUSTER`; nil is every table clustered before.
    case cluster(RelationName?)
    /// `VACUUM`
    case vacuum([RelationName], isFull: Bool)
    /// `ANALYZE`
    case analyze([RelationName])
    /// `REFRESH MATERIALIZED VIEW`
    case refresh(RelationName, concurrently: Bool)
    /// `CREATE TRIGGER`
    case createTrigger(TriggerDefinition)
    /// `CREATE RULE`, and whether it stands in for what is written.
    case createRule(String, on: RelationName, isReplaced: Bool, isInstead: Bool)
    /// `CREATE POLICY`, `ALTER POLICY`
    case policy(String, on: RelationName, isChanged: Bool)
    /// `CREATE VIEW`; the columns that it names, a text that is the same for the same query, and the rows that it shows as they are, with
    /// nothing beside, nil when it shows others.
    case createView(
        RelationName, from: [RelationName], isReplaced: Bool, takesAllColumns: Bool, columns: Set<String> = [],
        text: String? = nil, shows: TableCopy? = nil)
    /// `ALTER TYPE … ADD VALUE`
    case addEnumValue(String, value: String = "")
    /// `ALTER TYPE … RENAME VALUE`
    case renameEnumValue(type: String, from: String, to: String)
    /// `ALTER DOMAIN … ADD CONSTRAINT`
    case constrainDomain(String, isNotValid: Bool)
    /// `COMMENT ON`; nil when it is about no relation.
    case comment(RelationName?)
    /// `LOCK TABLE`; those of which what belongs to them is not locked with them: `ONLY`.
    case lock([RelationName], TableLock, withoutHeirs: [RelationName] = [])
    /// `INSERT`, `COPY … FROM`; the tables that are read, and the rows by their columns when the text says all of them.
    case insert(RelationName, from: [RelationName], rows: [[String: String]] = [])
    /// The rows of an `INSERT` have values of their own for these columns; nil for every column.
    case givesValues(RelationName, columns: [String]?)
    /// An `UPDATE` or `INSERT` that follows takes its values as they are from one other table.
    case bringsBack(RowsBrought)
    /// `UPDATE`
    case update(DataChange)
    /// `DELETE`
    case delete(DataChange)
    /// `MERGE`
    case merge(DataChange)
    /// `SELECT`, `COPY … TO`; the tables that are read, and whether rows are locked.
    case select([RelationName], locksRows: Bool)
    /// A function is called, or code is run, that may do anything.
    case opaque(String)
    /// Functions and operators of Postgres are called, unless something else has their names; `::int4` is a cast, `:=` any that applies
    /// by itself.
    case calls([String])
    /// Values are made ones of types that are not the parser's own.
    case casts([ColumnType])
    /// Parts of rows are read, each of which may be a function that is called so.
    case attributes([RowAttribute])
    /// It makes an operator, an aggregate or a cast, by the name that calls have.
    case makesCode(String)
    /// `CREATE FUNCTION`, `CREATE PROCEDURE`
    case createFunction(FunctionDefinition)
    /// `SET`, `RESET`, `set_config`; the value is nil for `RESET` and `DEFAULT`.
    case set(parameter: String, value: String?, isLocal: Bool)
    /// `BEGIN`, `START TRANSACTION`
    case begin
    /// `COMMIT`, `END`
    case commit
    /// `ROLLBACK`, `ABORT`
    case rollback
    /// `SAVEPOINT`, `RELEASE`, `ROLLBACK TO`
    case savepoint(isTakenBack: Bool)
    /// Permissions, roles, extensions, programs: what a reviewer of security wants to see.
    case security(String)
    /// What is not known to be harmless to whoever uses these now; in words. No names: nobody can say what.
    case unsettles(String, of: ObjectKind, [RelationName])
    /// The other direction of `unsettles`: rights that are given, roles that are made.
    case settles(String, [RelationName])
    /// `ALTER SEQUENCE`, `setval`; what of it changes the numbers that are given, nil when nothing, and whether it forgets how far they
    /// were.
    case alterSequence(RelationName, String?, restarts: Bool)
    /// `setval` to the greatest of the numbers in use and the last one given: nothing that was given is given again.
    case catchesUp(RelationName)
    /// It makes something that locks no table; certain when it cannot be there already.
    case create(ObjectKind, RelationName, isCertain: Bool = true)
    /// `CREATE TYPE`, `CREATE DOMAIN`; whether its values are held against a condition.
    case createType(RelationName, isConstrained: Bool)
    /// `DISCARD TEMP`, `DISCARD ALL`
    case discardTemporary
    /// It needs at least this version of the server.
    case needs(version: Int, String)
    /// It changes nothing that matters here.
    case harmless
    /// `\copy` and the like, which only psql understands.
    case metaCommand(String)
    /// The parser knows it, Serin does not.
    case unknown(String)
    /// The parser does not know it: what it said.
    case unparsable(String)
}

/// `CREATE TABLE`.
public struct TableDefinition: Sendable, Hashable {
    /// The new table.
    public var name: RelationName
    /// Its columns.
    public var columns: [ColumnDefinition]
    /// Its constraints, apart from those behind a column.
    public var constraints: [ConstraintDefinition]
    /// Whether a table of this name may be there already.
    public var ifNotExists: Bool
    /// The partitioned table it becomes a part of.
    public var partitionOf: RelationName?
    /// The tables it inherits from.
    public var parents: [RelationName]
    /// Whether it is itself divided into partitions.
    public var isPartitioned: Bool
    /// Whether it takes the rows that no other partition takes.
    public var isDefaultPartition = false
    /// A text that is the same for the same bounds of a partition.
    public var bounds: String?
    /// Whether it goes with the session.
    public var isTemporary = false
    /// Whether it goes with the transaction.
    public var dropsOnCommit = false
    /// Whether its rows are elsewhere.
    public var isForeign = false
    /// Whether the text says all of its columns.
    public var isWhole = false

    /// A table.
    public init(
        _ name: RelationName, columns: [ColumnDefinition] = [], constraints: [ConstraintDefinition] = [],
        ifNotExists: Bool = false, partitionOf: RelationName? = nil, parents: [RelationName] = [], isPartitioned: Bool = false
    ) {
        self.name = name
        self.columns = columns
        self.constraints = constraints
        self.ifNotExists = ifNotExists
        self.partitionOf = partitionOf
        self.parents = parents
        self.isPartitioned = isPartitioned
    }
}

/// `CREATE TABLE … AS` and its kin.
public struct TableQuery: Sendable, Hashable {
    /// The new table or materialized view.
    public var name: RelationName
    /// The tables that are read.
    public var sources: [RelationName]
    /// Whether it goes with the session.
    public var isTemporary: Bool
    /// Whether a table of this name may be there already.
    public var ifNotExists: Bool
    /// The rows that it keeps as they are; nil when it computes others, or none.
    public var copy: TableCopy?

    /// A query.
    public init(
        _ name: RelationName, from sources: [RelationName], isTemporary: Bool = false, ifNotExists: Bool = false,
        copy: TableCopy? = nil
    ) {
        self.name = name
        self.sources = sources
        self.isTemporary = isTemporary
        self.ifNotExists = ifNotExists
        self.copy = copy
    }
}

/// Rows of one table as they are.
public struct TableCopy: Sendable, Hashable {
    /// The table.
    public var source: RelationName
    /// Which columns; nil is all.
    public var columns: [String]?
    /// Which rows, as a text that is the same for the same condition, and that of no change when the same words may mean other rows; nil
    /// is all.
    public var condition: String?

    /// A copy.
    public init(of source: RelationName, columns: [String]?, condition: String?) {
        self.source = source
        self.columns = columns
        self.condition = condition
    }
}

/// `CREATE INDEX`.
public struct IndexDefinition: Sendable, Hashable {
    /// Its name; nil when the server makes one.
    public var name: String?
    /// The table.
    public var table: RelationName
    /// The columns in order; nil is an expression.
    public var columns: [String?]
    /// Whether no two rows may be alike.
    public var isUnique: Bool
    /// Whether writing goes on meanwhile.
    public var isConcurrent: Bool
    /// Whether an index of this name stands in for it.
    public var ifNotExists: Bool
    /// How it is built.
    public var method = "btree"
    /// The columns of what it computes of each row in a way that may fail: a division, a cast; nil when it computes nothing so.
    public var riskyColumns: Set<String>?
    /// Whether the partitions of its table stay without it: `ON ONLY`.
    public var leavesPartitions = false

    /// An index.
    public init(
        name: String?, on table: RelationName, columns: [String?], isUnique: Bool = false, isConcurrent: Bool = false,
        ifNotExists: Bool = false
    ) {
        self.name = name
        self.table = table
        self.columns = columns
        self.isUnique = isUnique
        self.isConcurrent = isConcurrent
        self.ifNotExists = ifNotExists
    }
}

/// `DROP TABLE`, `DROP INDEX` and the like.
public struct DropOrder: Sendable, Hashable {
    /// What is dropped.
    public var kind: ObjectKind
    /// Their names.
    public var names: [RelationName]
    /// The types that each function takes, in the order of the names; nil when the text does not say.
    public var arguments: [String?] = []
    /// The table of a trigger, rule or policy.
    public var table: RelationName?
    /// Whether what depends on it goes too.
    public var cascades: Bool
    /// Whether an index is dropped while the table is in use.
    public var isConcurrent: Bool

    /// An order.
    public init(
        _ kind: ObjectKind, _ names: [RelationName], of table: RelationName? = nil, cascades: Bool = false,
        isConcurrent: Bool = false
    ) {
        self.kind = kind
        self.names = names
        self.table = table
        self.cascades = cascades
        self.isConcurrent = isConcurrent
    }
}

/// `UPDATE`, `DELETE` or `MERGE`.
public struct DataChange: Sendable, Hashable {
    /// The table.
    public var table: RelationName
    /// The columns that get new values; empty for `DELETE`.
    public var columns: [String]
    /// Whether only some rows are meant.
    public var hasCondition: Bool
    /// Whether the rows are limited in number: `LIMIT` inside the condition, or a range of keys.
    public var isBatch: Bool
    /// The columns that the condition demands to be NULL.
    public var columnsThatAreNull: [String]
    /// The other tables that are read.
    public var sources: [RelationName]
    /// Which rows, as a text that is the same for the same condition; nil when it cannot be compared.
    public var condition: String?
    /// The values that the condition demands of columns.
    public var values: [String: [String]] = [:]
    /// The rows of another table that a `DELETE` takes by columns that are alike, and by nothing else; nil when it takes others.
    public var rowsOf: MatchedRows?

    /// A change of rows.
    public init(
        _ table: RelationName, columns: [String] = [], hasCondition: Bool, isBatch: Bool = false,
        columnsThatAreNull: [String] = [], sources: [RelationName] = []
    ) {
        self.table = table
        self.columns = columns
        self.hasCondition = hasCondition
        self.isBatch = isBatch
        self.columnsThatAreNull = columnsThatAreNull
        self.sources = sources
    }
}

/// The rows of a table, by some of its columns.
public struct MatchedRows: Sendable, Hashable {
    /// The table.
    public var table: RelationName
    /// The columns.
    public var keys: [String]

    /// Rows.
    public init(table: RelationName, keys: [String]) {
        self.table = table
        self.keys = keys
    }
}

/// Rows of one table that get into another as they are: `UPDATE t SET c = s.c FROM s WHERE t.id = s.id`,
/// `INSERT INTO t SELECT * FROM s [ON CONFLICT …]`, without any other condition.
public struct RowsBrought: Sendable, Hashable {
    /// The table that is changed.
    public var table: RelationName
    /// The table that is read.
    public var source: RelationName
    /// The columns of rows that are there which get the value of the column of that name.
    public var updates: [String]
    /// The columns by which rows are matched.
    public var keys: [String]
    /// Whether whole rows come in that are not there.
    public var inserts: Bool
    /// Whether rows that clash with others are left out.
    public var skips: Bool

    /// Rows.
    public init(
        _ table: RelationName, from source: RelationName, updates: [String] = [], by keys: [String] = [], inserts: Bool = false,
        skips: Bool = false
    ) {
        self.table = table
        self.source = source
        self.updates = updates
        self.keys = keys
        self.inserts = inserts
        self.skips = skips
    }
}

/// `CREATE FUNCTION`.
public struct FunctionDefinition: Sendable, Hashable {
    /// Its name.
    public var name: RelationName
    /// Whether it takes the place of one that is there.
    public var isReplaced: Bool
    /// The language it is written in.
    public var language: String
    /// Whether it runs with its owner's rights.
    public var isSecurityDefiner: Bool
    /// Whether it fixes its own search path.
    public var setsSearchPath: Bool
    /// The types that it takes.
    public var arguments = ""
    /// Whether triggers run it.
    public var isTrigger = false
    /// Whether it can be called without all of its arguments.
    public var hasDefaults = false
    /// Whether its body is known to write to no table and to call nothing of which nobody knows what it does.
    public var isQuiet = false
    /// Whether its body takes a changed row by all of its columns: `OLD.*`, `NEW.*`.
    public var takesWholeRows = false
    /// Its body, the same however its lines are broken; nil when it is not a text.
    public var text: String?

    /// A function.
    public init(
        _ name: RelationName, isReplaced: Bool, language: String, isSecurityDefiner: Bool = false, setsSearchPath: Bool = false
    ) {
        self.name = name
        self.isReplaced = isReplaced
        self.language = language
        self.isSecurityDefiner = isSecurityDefiner
        self.setsSearchPath = setsSearchPath
    }
}

/// `CREATE TRIGGER`.
public struct TriggerDefinition: Sendable, Hashable {
    /// Its name.
    public var name: String
    /// The table.
    public var table: RelationName
    /// The function that it runs.
    public var function: RelationName
    /// What it gives that function.
    public var arguments: [String]
    /// Whether it takes the place of one that is there.
    public var isReplaced: Bool
    /// Whether what the function returns decides what is written.
    public var decides: Bool
    /// Whether it runs when rows come in.
    public var isOfInserts = true
    /// Whether it runs when rows are changed.
    public var isOfUpdates = true
    /// Whether it runs when rows are deleted.
    public var isOfDeletes = true
    /// The columns of which one must be changed; empty when any will do.
    public var columns: Set<String> = []

    /// A trigger.
    public init(
        _ name: String, on table: RelationName, runs function: RelationName, with arguments: [String] = [],
        isReplaced: Bool = false,
        decides: Bool = false
    ) {
        self.name = name
        self.table = table
        self.function = function
        self.arguments = arguments
        self.isReplaced = isReplaced
        self.decides = decides
    }
}

/// `row.name`: a column, or a function of the row.
public struct RowAttribute: Sendable, Hashable {
    /// The tables that the row may be of; nil when the text does not say.
    public var tables: [RelationName]?
    /// What is read of it.
    public var name: String

    /// A part of a row.
    public init(_ name: String, of tables: [RelationName]?) {
        self.name = name
        self.tables = tables
    }
}
