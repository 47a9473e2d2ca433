/// A column as it is defined.
public struct ColumnDefinition: Sendable, Hashable {
    /// Where a new row's value comes from when nobody gives one.
    public enum Default: Sendable, Hashable {
        /// From nowhere: it is NULL.
        case none
        /// From an expression that is the same for every row of a statement.
        case stable
        /// From an expression that may differ for every row; the functions that may.
        case volatile([String])
        /// From a sequence.
        case sequence
        /// Computed from other columns and stored.
        case stored
    }

    /// The column's name.
    public var name: String
    /// Its type.
    public var type: ColumnType
    /// Where a value comes from when nobody gives one.
    public var defaultValue: Default
    /// A text that is the same for the same default, empty for none; nil when nobody can tell.
    public var defaultText: String?
    /// Whether NULL is refused.
    public var isNotNull: Bool
    /// The constraints written behind it.
    public var constraints: [ConstraintDefinition]
    /// The order of its texts, when the text says it.
    public var collation: String?

    /// A column.
    public init(
        _ name: String, _ type: ColumnType, default defaultValue: Default = .none, isNotNull: Bool = false,
        constraints: [ConstraintDefinition] = []
    ) {
        self.name = name
        self.type = type
        self.defaultValue = defaultValue
        self.isNotNull = isNotNull
        self.constraints = constraints
    }
}

/// A constraint as it is defined.
public struct ConstraintDefinition: Sendable, Hashable {
    /// What it demands.
    public enum Kind: Sendable, Hashable {
        /// A condition on each row; the column when it is nothing but `column IS NOT NULL`.
        case check(notNullOf: String?)
        /// A row of another table.
        case foreignKey(references: RelationName)
        /// No two rows alike.
        case unique
        /// No two rows alike, and no NULL.
        case primaryKey
        /// No two rows that clash by operators.
        case exclusion
    }

    /// Its name; nil when the server makes one.
    public var name: String?
    /// What it demands.
    public var kind: Kind
    /// The columns it is about, in order; empty for a check.
    public var columns: [String]
    /// Whether rows that are there are not looked at.
    public var isNotValid: Bool
    /// The index that becomes the constraint's; nil when one is built.
    public var index: String?
    /// Whether the rows that point to a row change when it is deleted.
    public var passesDeletes = false
    /// Whether the rows that point to a row change when its key does.
    public var passesUpdates = false
    /// Whether an update of a key takes the value from the rows that point to it, and does not bring them the new one.
    public var clearsOnUpdate = false
    /// Whether a change of the row that is pointed to changes those that point to it.
    public var cascades: Bool { passesDeletes || passesUpdates }
    /// The columns that a check reads.
    public var checked: Set<String> = []
    /// The column that a check compares with constants, so that it refuses no row without it; nil when it does more.
    public var comparedColumn: String?

    /// A constraint.
    public init(name: String? = nil, _ kind: Kind, columns: [String] = [], isNotValid: Bool = false, index: String? = nil) {
        self.name = name
        self.kind = kind
        self.columns = columns
        self.isNotValid = isNotValid
        self.index = index
    }
}

/// One subcommand of `ALTER TABLE`.
public enum TableChange: Sendable, Hashable {
    /// `ADD COLUMN`
    case addColumn(ColumnDefinition, ifNotExists: Bool = false)
    /// `DROP COLUMN`
    case dropColumn(String, cascades: Bool)
    /// `ALTER COLUMN … TYPE`
    case changeType(column: String, to: ColumnType, TypeChange.Conversion, collation: String? = nil)
    /// `ALTER COLUMN … SET NOT NULL`
    case setNotNull(String)
    /// `ALTER COLUMN … DROP NOT NULL`
    case dropNotNull(String)
    /// `ALTER COLUMN … SET DEFAULT`; a text that is the same for the same value, nil when nobody can tell, and whether it is the next
    /// number of a sequence.
    case setDefault(String, text: String? = nil, isNumber: Bool = false)
    /// `ALTER COLUMN … DROP DEFAULT`
    case dropDefault(String)
    /// `ALTER COLUMN … ADD GENERATED … AS IDENTITY`
    case addIdentity(String)
    /// `ALTER COLUMN … RESTART`
    case restartIdentity(String)
    /// `ALTER COLUMN … SET GENERATED` and `DROP IDENTITY`: what, in words.
    case changeIdentity(String, String)
    /// `ALTER COLUMN … DROP EXPRESSION`
    case dropExpression(String)
    /// `ADD CONSTRAINT`
    case addConstraint(ConstraintDefinition)
    /// `VALIDATE CONSTRAINT`
    case validate(String)
    /// `DROP CONSTRAINT`
    case dropConstraint(String, cascades: Bool)
    /// `ALTER CONSTRAINT`
    case alterConstraint(String)
    /// `SET LOGGED`, `SET TABLESPACE`: every row is written anew.
    case store(String)
    /// `SET UNLOGGED`
    case setUnlogged
    /// `SET ACCESS METHOD`, which is there from version 15.
    case setAccessMethod
    /// What changes no rows and is quick under SHARE UPDATE EXCLUSIVE: statistics, storage parameters, `CLUSTER ON`.
    case setParameters(String)
    /// What changes no rows, is quick under ACCESS EXCLUSIVE and is noticed by nobody: the storage of a column.
    case setProperty(String)
    /// What changes no rows, is quick under ACCESS EXCLUSIVE and may be noticed: owner, rules, replica identity.
    case setBehaviour(String)
    /// `ENABLE TRIGGER`, `DISABLE TRIGGER`
    case switchTrigger(String)
    /// `ENABLE ROW LEVEL SECURITY` and its kin.
    case rowSecurity(isEnabled: Bool)
    /// `ATTACH PARTITION`; a text that is the same for the same bounds.
    case attach(RelationName, isDefault: Bool = false, bounds: String? = nil)
    /// `DETACH PARTITION`
    case detach(RelationName, concurrently: Bool)
    /// `INHERIT`, `NO INHERIT`
    case inherit(RelationName, isLeft: Bool = false)
    /// What Serin does not know.
    case other(String)
}
