"""orders have a note"""

from alembic import op
import sqlalchemy as sa

revision = "0002"
down_revision = "0001"


def upgrade():
    op.add_column("orders", sa.Column("note", sa.Text, nullable=True))


def downgrade():
    op.drop_column("orders", "note")
