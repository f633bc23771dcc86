"""The routes of this room, all behind the login."""

from fastapi import APIRouter, Depends

from console.operator import acts, case, cases, lists, shift, site_map
from console.visit import logged_in

ROUTERS = [
    APIRouter(dependencies=[Depends(logged_in)]),
]
for room in (cases, case, acts, lists, shift, site_map):
    ROUTERS[0].include_router(room.router)
