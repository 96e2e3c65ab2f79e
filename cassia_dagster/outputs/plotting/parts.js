// The charts of Apache ECharts that the report needs, and no others.
import { init, use } from "echarts/core";
import { ScatterChart, SunburstChart } from "echarts/charts";
import { GridComponent } from "echarts/components";
import { CanvasRenderer } from "echarts/renderers";

use([ScatterChart, SunburstChart, GridComponent, CanvasRenderer]);
export { init };
